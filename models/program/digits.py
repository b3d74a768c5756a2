"""Weights as sums of digits 0, ±1, ±2 and ±4 times powers of four: what the shift engine computes with.

Every integer is such a sum. One digit is a shift and a sign; two make all of 0 to 10 and most up to 20.
"""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["DIGITS", "DIGIT_BITS", "RADIX", "digits_needed", "levels", "split_digits", "weight_of"]

RADIX = 4
#: The smallest first: of several ways to write a weight, the one with the fewest digits that are not 0 wins.
DIGITS = (0, 1, -1, 2, -2, 4, -4)
DIGIT_BITS = 3


@functools.cache
def levels(count: int) -> tuple[int, ...]:
    """The integers from 0 up that `count` digits can be."""
    if count < 1:
        raise ValueError(f"a weight has at least one digit, not {count!r}")
    values = {0}
    for _ in range(count):
        values = {RADIX * upper + digit for upper in values for digit in DIGITS}
    return tuple(sorted(value for value in values if value >= 0))


@functools.cache
def _digits(weight: int, count: int) -> tuple[int, ...] | None:
    """`count` digits, the most significant first, or None where so few cannot be the weight."""
    if count == 0:
        return None if weight else ()
    ways = []
    for digit in DIGITS:
        if (weight - digit) % RADIX == 0:
            upper = _digits((weight - digit) // RADIX, count - 1)
            if upper is not None:
                ways.append((*upper, digit))
    return max(ways, key=lambda way: way.count(0), default=None)


def digits_needed(weights: np.ndarray) -> int:
    """The fewest digits that all these weights can be written with; at least one."""
    values = {int(value) for value in np.unique(np.abs(weights))}
    count = 1
    while not values <= set(levels(count)):
        count += 1
    return count


def split_digits(weights: np.ndarray) -> np.ndarray:
    """Weights as digits: an axis is put in front, most significant digit first, as short as it can be."""
    weights = np.asarray(weights, np.int64)
    count = digits_needed(weights)
    values, places = np.unique(weights, return_inverse=True)
    table = np.array([_digits(int(value), count) for value in values], np.int64).reshape(-1, count)
    return np.moveaxis(table[places.reshape(weights.shape)], -1, 0)


def weight_of(digits: np.ndarray) -> np.ndarray:
    """What digits stand for; the first axis is the one of `split_digits`."""
    powers = RADIX ** np.arange(len(digits) - 1, -1, -1)
    return np.tensordot(powers, digits, axes=1)
