"""Rules for layers with weights."""

from __future__ import annotations

import numpy as np

from models.program import ops
from models.program.rules.call import Call
from models.program.values import Constant, Signal, Value

__all__ = ["convolution", "gemm", "mat_mul", "plain_window"]


def mat_mul(call: Call) -> Value:
    return _dense(call, call.one_scale(), None, outputs_axis=1)


def gemm(call: Call) -> Value:
    alpha, beta = call.node.number("alpha", 1.0), call.node.number("beta", 1.0)
    bias = call.arg(2)
    if alpha != 1 or (beta != 1 and bias is not None) or call.node.integer("transA", 0):
        raise call.refuse("alpha and beta must be 1 and transA 0", remedy="fold the factors into the weights")
    return _dense(call, call.one_scale(), bias, outputs_axis=0 if call.node.integer("transB", 0) else 1)


def _dense(call: Call, source: Signal, bias: Value | None, *, outputs_axis: int) -> Signal:
    integers, scale = _weights(call, outputs_axis=outputs_axis)
    if integers.ndim != 2 or len(source.shape) != 1:
        raise _misfit(call, integers, source, remedy="flatten the input before the layer")
    weights = integers if outputs_axis == 0 else integers.T
    op = ops.Dense(
        name=call.node.name,
        inputs=(source.tensor,),
        output=call.output,
        weights=weights,
        bias=np.zeros(len(weights), np.int64),
    )
    return call.builder.linear(call.node, op, source.scale * scale, bias)


def convolution(call: Call) -> Value:
    source = call.one_scale()
    integers, scale = _weights(call, outputs_axis=0)
    if integers.ndim != 4 or len(source.shape) != 3:
        raise _misfit(
            call,
            integers,
            source,
            remedy="only two-dimensional convolutions are supported; give a sequence a height of 1",
        )
    plain_window(call)
    op = ops.Convolution(
        name=call.node.name,
        inputs=(source.tensor,),
        output=call.output,
        weights=integers,
        bias=np.zeros(len(integers), np.int64),
        groups=call.node.integer("group", 1),
        stride=call.node.pair("strides"),
        padding=call.node.padding(),
    )
    return call.builder.linear(call.node, op, source.scale * scale, call.arg(2))


def plain_window(call: Call) -> None:
    """Refuse dilation and padding that is not given in numbers."""
    if call.node.pair("dilations") != (1, 1):
        raise call.refuse("dilation is not supported", remedy="use a larger kernel or a stride")
    if call.node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID", ""):
        raise call.refuse("padding must be given in numbers", remedy="export with explicit padding")


def _weights(call: Call, *, outputs_axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer weights, and their scale as () or (outputs,)."""
    value = call.arg(1)
    if not isinstance(value, Constant) or value.integers is None or value.scale is None:
        raise call.refuse(
            "its weights are not quantised constants",
            remedy="give the layer a weight quantiser, for instance models.quantisers.TernaryWeight",
        )
    if value.integers.ndim < 2 or not value.integers.size:
        raise call.refuse(f"its weights have shape {value.integers.shape!r}", remedy="export the model again")
    scale = np.moveaxis(value.scale, outputs_axis, 0).reshape(value.integers.shape[outputs_axis], -1)
    if (scale != scale[:, :1]).any():
        raise call.refuse(
            "its weights have a scale an input", remedy="use one scale a tensor or an output channel"
        )
    scale = scale[:, 0]
    return value.integers, scale[0] if (scale == scale[0]).all() else scale


def _misfit(call: Call, weights: np.ndarray, source: Signal, *, remedy: str) -> ValueError:
    rule = f"weights of shape {weights.shape!r} do not fit an input of shape {source.shape!r}"
    return call.refuse(rule, remedy=remedy)
