"""Weights that are 0, ±2^k or ±2^a ± 2^b under a power-of-two scale for each output channel. Needs torch."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

__all__ = ["EXPONENTS", "levels", "round_through", "shift_values"]

#: Each term is 0 or ±2^0 ... ±2^6: four bits.
EXPONENTS = 7
#: What the greatest weight of a channel becomes before the scale is rounded to a power of two: rounding may
#: raise it by 1.41, and two terms end at 96.
REACH = {1: 1.06 * 64, 2: 68.0}


@functools.cache
def levels(terms: int) -> tuple[int, ...]:
    """The integers from 0 up that a weight may be; 128 would not fit eight bits."""
    if terms not in (1, 2):
        raise ValueError(f"a weight is a sum of 1 or 2 powers of two, not of {terms!r}")
    single = {0, *(1 << exponent for exponent in range(EXPONENTS))}
    if terms == 1:
        return tuple(sorted(single))
    return tuple(
        sorted({abs(one + sign * other) for one in single for other in single for sign in (1, -1)} - {128})
    )


@functools.cache
def _table(terms: int) -> tuple[Tensor, Tensor]:
    values = torch.tensor(levels(terms), dtype=torch.float32)
    return values, (values[1:] + values[:-1]) / 2


class _RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(_ctx, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(_ctx, gradient: Tensor):
        return gradient


def round_through(x: Tensor) -> Tensor:
    """Rounds half to even; the gradient passes."""
    return _RoundThrough.apply(x)


class _Nearest(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, terms: int) -> Tensor:
        values, middles = _table(terms)
        size = x.abs()
        ctx.save_for_backward(size <= values[-1] * 1.5)
        return values[torch.bucketize(size, middles)] * torch.sign(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None


def shift_values(weights: Tensor, *, terms: int, largest: float = float("inf")) -> tuple[Tensor, Tensor]:
    """The nearest such weights, and the value of level 1 in each output channel; gradients pass.

    No level-1 value exceeds `largest`; weights that this puts out of reach become the last level.
    """
    greatest = weights.detach().abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(2.0**-20)
    scale = torch.exp2(torch.round(torch.log2(greatest / REACH[terms])))
    scale = scale.clamp_max(largest)
    return _Nearest.apply(weights / scale, terms) * scale, scale
