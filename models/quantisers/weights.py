"""Quantisers of weights: ternary, and 0 or a signed power of two, under a power-of-two scale.

`class Mine(PowerOfTwoWeight): estimator = "annealed"` chooses how gradients pass the staircase:

- "straight": as if it were the identity, but not beyond its ends.
- "rectified": as if each step were `sign(u) |u|^(1/o)`, o growing from 1 to 3 with the training's progress,
  so that weights near a step feel it more and weights within a level settle.
- "annealed": the forward pass itself goes from float to quantised weights with progress.

Call `set_progress(model, fraction)` as the training goes; evaluation and export always quantise fully.
"""

from __future__ import annotations

import math

import torch
from brevitas.quant import Int8WeightPerTensorFixedPoint
from torch import Tensor, nn

__all__ = ["PowerOfTwoWeight", "TernaryWeight", "freeze_weights", "set_progress"]

ESTIMATORS = ("straight", "rectified", "annealed")
#: A rectified gradient is infinite on a step; no larger than this is passed on.
LARGEST_GRADIENT = 3.0


class _Staircase(torch.autograd.Function):
    """Forward the quantised values, backward the given slope."""

    @staticmethod
    def forward(ctx, _x: Tensor, quantised: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return quantised

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (slope,) = ctx.saved_tensors
        return gradient * slope, None, None


class _WeightTensorQuant(nn.Module):
    """What Brevitas calls with the float weights: returns values, scale, zero point and bits."""

    def __init__(self, estimator: str = "straight", scale_per_channel: bool = False):
        super().__init__()
        if estimator not in ESTIMATORS:
            raise ValueError(f"estimator must be one of {ESTIMATORS}, not {estimator!r}")
        self.estimator = estimator
        self.scale_per_channel = scale_per_channel
        self.progress = 0.0
        self.observer_only = False
        #: Set when the weights are frozen: rounding must not move the scale again.
        self.fixed_scale: Tensor | None = None

    #: Bits of the signed narrow integers that hold the levels.
    bits: int
    #: The greatest level; levels are integers.
    top: int

    def unit(self, size: Tensor) -> Tensor:
        """The value of level 1 before it becomes a power of two, from the weights' absolute values."""
        raise NotImplementedError

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest level to each `x`, the middle of the nearest step, and that step's height."""
        raise NotImplementedError

    def scale(self, weights: Tensor) -> Tensor:
        if self.fixed_scale is not None:
            return self.fixed_scale
        size = weights.detach().abs()
        if self.scale_per_channel:
            size = size.reshape(len(size), -1)
            unit = self.unit(size).reshape(-1, *(1,) * (weights.ndim - 1))
        else:
            unit = self.unit(size.reshape(1, -1)).reshape(())
        # float32 holds these exponents exactly; a layer of zeros gets a scale that is not zero.
        return torch.exp2(torch.round(torch.log2(unit.clamp_min(2.0**-30))))

    def forward(self, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scale = self.scale(weights)
        x = weights / scale
        levels, slope = self._levels_and_slope(x.detach())
        y = _Staircase.apply(x, levels, slope) * scale
        if self.training and self.estimator == "annealed":
            blend = min(1.0, self.progress / 0.8)  # the last fifth trains what will be exported
            y = blend * y + (1 - blend) * weights
        zero, bits = (
            torch.zeros_like(scale.reshape(-1)[0]),
            torch.full((), float(self.bits), device=scale.device),
        )
        return y, scale, zero, bits

    def _levels_and_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        levels, middle, height = self.nearest(x)
        slope = (x.abs() <= self.top + 0.5).to(x.dtype)
        if self.estimator == "rectified":
            power = 1 / (1 + 2 * self.progress)
            distance = (2 * (x - middle).abs() / height).clamp(1e-4, 1.0)
            slope = slope * (power * distance ** (power - 1)).clamp_max(LARGEST_GRADIENT)
        return levels, slope


class TernaryTensorQuant(_WeightTensorQuant):
    """Levels -1, 0 and 1."""

    bits = 2
    top = 1

    def unit(self, size: Tensor) -> Tensor:
        # Lloyd's best outer level for Gaussian weights is 1.224 deviations, 1.534 mean absolute values.
        return 1.534 * size.mean(dim=1)

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return torch.round(x.clamp(-1, 1)), 0.5 * torch.sign(x), torch.ones_like(x)


class PowerOfTwoTensorQuant(_WeightTensorQuant):
    """Levels 0 and ±1, ±2, ±4, ... ±2^(levels - 1)."""

    def __init__(self, estimator: str = "straight", scale_per_channel: bool = False, levels: int = 4):
        super().__init__(estimator=estimator, scale_per_channel=scale_per_channel)
        if not 1 <= levels <= 15:
            raise ValueError(f"levels must be 1 to 15, not {levels!r}")
        self.bits = levels + 1
        self.top = 1 << levels - 1

    def unit(self, size: Tensor) -> Tensor:
        # The greatest weight may be clamped by a third: nearest level to it, and log2 rounds in between.
        return size.amax(dim=1) / self.top * (2 ** (0.5 - math.log2(1.5)))

    def nearest(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        size = x.abs().clamp(max=self.top)
        # Half-way between 2^k and 2^(k+1) lies 1.5 * 2^k: 4/3 of it is the next power of two.
        exponent = torch.floor(torch.log2((size * (4 / 3)).clamp_min(1.0)))
        power = torch.exp2(exponent).clamp(max=self.top)
        levels = torch.where(size > 0.5, power, torch.zeros_like(size)) * torch.sign(x)
        # The step that is nearest in proportion: below this level, or above it.
        below = torch.where(power > 1, 0.75 * power, 0.5 * torch.ones_like(power))
        above = 1.5 * power
        upper = (above - size).abs() < (size - below).abs()
        middle = torch.where(upper & (power < self.top), above, below)
        height = torch.where(upper & (power < self.top), power, torch.where(power > 1, power / 2, power))
        return levels, middle * torch.sign(x), height


class _PowerOfTwoScaled(Int8WeightPerTensorFixedPoint):
    """Brevitas's description of signed, narrow, rounded integers; our module computes them."""

    estimator = "straight"
    scale_per_channel = False


class TernaryWeight(_PowerOfTwoScaled):
    """2-bit narrow weights: -1, 0 or 1 times a power of two."""

    tensor_quant = TernaryTensorQuant
    bit_width = 2


class PowerOfTwoWeight(_PowerOfTwoScaled):
    """0 or ±2^k, `levels` powers, times a power of two: each product is a shift."""

    tensor_quant = PowerOfTwoTensorQuant
    levels = 4
    bit_width = 5


def set_progress(model: nn.Module, fraction: float) -> None:
    """Tell every weight quantiser how far the training is, 0 to 1."""
    for module in model.modules():
        if isinstance(module, _WeightTensorQuant):
            module.progress = min(max(float(fraction), 0.0), 1.0)


def freeze_weights(model: nn.Module) -> None:
    """Overwrite quantised weights with their values, so that any uniform quantiser is the identity on them.

    The scale is computed from the weights, and is kept from here on: that of the rounded ones might differ.
    """
    for name, layer in model.named_modules():
        proxy = getattr(layer, "weight_quant", None)
        quant = getattr(proxy, "tensor_quant", None)
        if not isinstance(quant, _WeightTensorQuant):
            continue
        quant.eval()
        with torch.no_grad():
            values, scale, _, _ = quant(layer.weight)
            quant.fixed_scale = scale.clone()
            layer.weight.copy_(values)
            again, _, _, _ = quant(layer.weight)
        if not torch.equal(again, values):
            raise RuntimeError(f"layer {name!r}: its weight quantiser is not the identity on its own values")
