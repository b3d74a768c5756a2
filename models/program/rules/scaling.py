"""Rules for quantisers and for what is folded into them: scales, biases, normalisation, the rectifier."""

from __future__ import annotations

import numpy as np

from models.program import ops
from models.program.rules.call import DAMAGED, Call
from models.program.values import Constant, RawInput, Signal, Step, Value, int_levels, power_of_two

__all__ = ["add", "batch_norm", "divide", "multiply", "quantise", "relu", "subtract"]


def quantise(call: Call) -> Value:
    parameters = [call.array(index) for index in range(1, len(call.args))]
    if len(parameters) != (1 if call.node.kind == "BipolarQuant" else 3):
        raise call.refuse(f"has {len(call.args)} inputs", remedy=DAMAGED)
    levels = int_levels(call.node, parameters)
    source = call.arg(0)
    if isinstance(source, RawInput):
        return call.builder.quantise_input(call.node, source, levels)
    if isinstance(source, Signal):
        return call.builder.quantise(call.node, source, levels)
    values = call.array(0).astype(np.float32)
    try:
        scale = np.broadcast_to(levels.scale, values.shape)
    except ValueError as error:
        raise call.refuse(str(error), remedy=DAMAGED) from error
    integers = levels.apply(values, scale)
    return Constant((integers * scale).astype(np.float32), integers, scale.astype(np.float64))


def batch_norm(call: Call) -> Value:
    source = call.signal()
    if len(call.args) != 5:
        raise call.refuse(f"has {len(call.args)} inputs, not 5", remedy=DAMAGED)
    gamma, beta, mean, variance = (call.array(index).astype(np.float32) for index in range(1, 5))
    channels = call.builder.channels(call.node, source)
    if {part.shape for part in (gamma, beta, mean, variance)} != {(channels,)}:
        raise call.refuse(
            f"its parameters must have shape {(channels,)!r}", remedy="normalise before flattening"
        )
    # onnxruntime's own order of operations, so that every rounding is the executor's.
    epsilon = np.float32(call.node.number("epsilon", 1e-5))
    if not (variance + epsilon > 0).all():
        raise call.refuse("a variance is negative", remedy=DAMAGED)
    factor = np.float32(1) / np.sqrt(variance + epsilon) * gamma
    return call.builder.then(call.node, source, Step.of("affine", factor=factor, offset=beta - mean * factor))


def relu(call: Call) -> Value:
    source = call.signal()
    if not source.steps and call.builder.tensor(source).minimum >= 0:
        return source
    return source.then(Step.of("relu"))


def multiply(call: Call) -> Value:
    source, factor = call.with_constant(swap=True)
    if factor.ndim == 0 and power_of_two(factor) and not source.steps:
        return Signal(source.tensor, source.shape, source.scale * float(factor))
    return call.builder.then(call.node, source, Step.of("multiply", factor=factor))


def divide(call: Call) -> Value:
    source, divisor = call.with_constant(swap=False)
    if not divisor.all():
        raise call.refuse("it divides by zero", remedy=DAMAGED)
    return call.builder.then(call.node, source, Step.of("divide", factor=divisor))


def subtract(call: Call) -> Value:
    source, offset = call.with_constant(swap=False)
    return call.builder.add_constant(call.node, source, -offset)


def add(call: Call) -> Value:
    """A bias, or the two branches of a residual block."""
    if any(isinstance(value, Constant) for value in call.args):
        source, offset = call.with_constant(swap=True)
        return call.builder.add_constant(call.node, source, offset)
    signals = call.builder.alike(call.node, call.signals())
    names = tuple(signal.tensor for signal in signals)
    op = ops.Add(name=call.node.name, inputs=names, output=call.output)
    return call.builder.emit(op, signals[0].scale)
