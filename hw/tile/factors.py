"""Powers of two that all weights of an output channel share, moved into the shift behind the sum."""

from __future__ import annotations

import numpy as np

__all__ = ["without_factors"]


def without_factors(
    weights: np.ndarray, bias: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smaller weights, biases and shifts with which `round_half_even((sum + bias) / 2**shift)` is the same.

    A bias that the factor does not divide counts, below the unit of the sums, only as being there or not.
    One more bit of the sums says so, and is exact as long as rounding looks at a bit above it.
    """
    weights, bias, shift = weights.copy(), bias.copy(), shift.copy()
    for output, row in enumerate(weights):
        common = int(np.bitwise_or.reduce(np.abs(row), axis=None))
        if common == 0:
            continue
        factor, offset = _trailing_zeros(common), int(bias[output])
        exact = min(factor, int(shift[output]), _trailing_zeros(offset) if offset else factor)
        rounded = min(factor - 1, int(shift[output]) - 2)
        if rounded > exact:
            unit = 2 << rounded
            bias[output] = offset // unit * 2 + (offset % unit != 0)
        else:
            bias[output] = offset >> exact
        weights[output] = row >> max(exact, rounded)
        shift[output] -= max(exact, rounded)
    return weights, bias, shift


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1
