"""Weights of a few digits under a power-of-two scale for each output channel. Needs torch.

Digits are 0, ±1, ±2 and ±4 times powers of four (`models.program.digits`).
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from models.program.digits import levels

__all__ = ["round_through", "shift_values"]

#: Scales that are tried below the one that cuts nothing off: a channel's few greatest weights may be worth
#: less than finer steps for all others.
HALVINGS = (1.0, 0.5, 0.25)
#: Weights are kept in eight bits.
MOST_DIGITS = 3


@functools.cache
def _table(digits: int) -> tuple[Tensor, Tensor]:
    if not 1 <= digits <= MOST_DIGITS:
        raise ValueError(f"a weight is a sum of 1 to {MOST_DIGITS} digits, not of {digits!r}")
    values = torch.tensor(levels(digits), dtype=torch.float32)
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
    def forward(ctx, x: Tensor, digits: int) -> Tensor:
        values, middles = _table(digits)
        size = x.abs()
        ctx.save_for_backward(size <= values[-1] * 1.5)
        return values[torch.bucketize(size, middles)] * torch.sign(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None


def shift_values(weights: Tensor, *, digits: int, largest: float = float("inf")) -> tuple[Tensor, Tensor]:
    """The nearest such weights, and the value of level 1 in each output channel; gradients pass.

    Each channel has the scale of the least squared error. No level-1 value exceeds `largest`; weights that
    this puts out of reach become the last level.
    """
    scale = _best_scale(weights.detach(), digits, largest)
    return _Nearest.apply(weights / scale, digits) * scale, scale


def _best_scale(weights: Tensor, digits: int, largest: float) -> Tensor:
    last = float(_table(digits)[0][-1])
    greatest = weights.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(2.0**-20)
    whole = torch.exp2(torch.ceil(torch.log2(greatest / last)))
    scales = [(whole * share).clamp_max(largest) for share in HALVINGS]
    errors = [
        (_Nearest.apply(weights / scale, digits) * scale - weights).square().sum(dim=(1, 2, 3))
        for scale in scales
    ]
    best = torch.stack(errors).argmin(dim=0).reshape(-1, 1, 1, 1)
    return torch.stack(scales).gather(0, best[None])[0]
