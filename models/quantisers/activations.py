"""Quantisers of activations: low-bit ones with a learned power-of-two scale, and the input's with scale 1."""

from __future__ import annotations

import torch
from brevitas.quant import Int8ActPerTensorFixedPoint, Uint8ActPerTensorFixedPoint
from brevitas.quant_tensor import IntQuantTensor
from torch import Tensor, nn

__all__ = ["Activation", "QuantInput", "SignedActivation"]


class Activation(Uint8ActPerTensorFixedPoint):
    """Unsigned, for `QuantReLU(act_quant=Activation, bit_width=2)`. The power-of-two scale is learned, from
    where the percentile of the first `collect_stats_steps` batches puts it."""

    bit_width = 2
    collect_stats_steps = 30
    high_percentile_q = 99.0


class SignedActivation(Int8ActPerTensorFixedPoint):
    """Signed, for `QuantIdentity(act_quant=SignedActivation, bit_width=8)`; one object on both branches of a
    residual sum gives them the one scale that the sum needs."""

    collect_stats_steps = 30
    high_percentile_q = 99.9


class _RoundThrough(torch.autograd.Function):
    """Rounds and clamps; the gradient passes where nothing was clamped."""

    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward((x >= low) & (x <= high))
        return torch.round(torch.clamp(x, low, high))

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


class _QuantNode(torch.autograd.Function):
    """Leaves a QONNX `Quant` node in the export."""

    @staticmethod
    def symbolic(g, x, scale, zero_point, bit_width, signed):
        parameters = {"signed_i": int(signed), "narrow_i": 0, "rounding_mode_s": "ROUND"}
        node = g.op("qonnx.custom_op.general::Quant", x, scale, zero_point, bit_width, **parameters)
        node.setType(x.type())
        return node

    @staticmethod
    def forward(_ctx, x, _scale, _zero_point, _bit_width, _signed):
        return x.clone()  # tracing needs the shape alone


class QuantInput(nn.Module):
    """The first layer of every model: integers of `bits`, at a constant scale.

    `QuantInput(bits=8)` passes INT8 bytes, `QuantInput(bits=1, signed=False)` passes {0, 1}. Brevitas would
    export one bit as a bipolar quantiser whatever its sign, hence a module of our own.
    """

    scale: Tensor
    zero_point: Tensor
    bit_width: Tensor

    def __init__(
        self, *, bits: int = 8, signed: bool = True, scale: float = 1.0, return_quant_tensor: bool = False
    ):
        super().__init__()
        if not 1 <= bits <= 16 or (signed and bits < 2):
            raise ValueError(
                f"bits must be 1 to 16, and at least 2 if signed, not {bits!r} (signed={signed!r})"
            )
        if not scale > 0:
            raise ValueError(f"scale must be positive, not {scale!r}")
        self.bits = bits
        self.signed = signed
        self.return_quant_tensor = return_quant_tensor
        self.register_buffer("scale", torch.tensor(float(scale)))
        self.register_buffer("zero_point", torch.tensor(0.0))
        self.register_buffer("bit_width", torch.tensor(float(bits)))

    @property
    def minimum(self) -> int:
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << self.bits - self.signed) - 1

    def forward(self, x: Tensor) -> Tensor | IntQuantTensor:
        if torch.onnx.is_in_onnx_export():
            y = _QuantNode.apply(x, self.scale, self.zero_point, self.bit_width, self.signed)
        else:
            y = _RoundThrough.apply(x / self.scale, self.minimum, self.maximum) * self.scale
        if not self.return_quant_tensor:
            return y
        return IntQuantTensor(y, self.scale, self.zero_point, self.bit_width, self.signed, self.training)
