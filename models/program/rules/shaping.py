"""Rules for what moves, joins, picks or repeats values without computing new ones."""

from __future__ import annotations

from math import prod

import numpy as np

from models.program import ops
from models.program.rules.call import DAMAGED, Call
from models.program.rules.linear import plain_window
from models.program.values import Constant, RawInput, Signal, Value

__all__ = [
    "arg_max",
    "concat",
    "constant",
    "flatten",
    "identity",
    "max_pool",
    "reshape",
    "resize",
    "transpose",
]


def identity(call: Call) -> Value:
    value = call.arg(0)
    if value is None:
        raise call.refuse("it has no input", remedy=DAMAGED)
    return value


def constant(call: Call) -> Value:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in call.node.attributes:
            return Constant(np.asarray(call.node.attributes[name]))
    raise call.refuse("it holds no number", remedy=DAMAGED)


def concat(call: Call) -> Value:
    signals = call.builder.alike(call.node, call.signals())
    first = signals[0]
    if call.node.integer("axis", 1) not in (1, -len(first.shape)) or first.scale.ndim:
        raise call.refuse(
            "only the channels can be joined, and under one scale", remedy="concatenate along axis 1"
        )
    for signal in signals:
        call.builder.channels(call.node, signal)
    names = tuple(signal.tensor for signal in signals)
    return call.builder.emit(ops.Concat(name=call.node.name, inputs=names, output=call.output), first.scale)


def max_pool(call: Call) -> Value:
    source = call.integers()
    plain_window(call)
    if call.node.integer("ceil_mode", 0):
        raise call.refuse("ceil_mode is not supported", remedy="pad the map so that the windows fit")
    op = ops.MaxPool(
        name=call.node.name,
        inputs=(source.tensor,),
        output=call.output,
        kernel=call.node.pair("kernel_shape"),
        stride=call.node.pair("strides"),
        padding=call.node.padding(),
    )
    return call.builder.emit(op, source.scale)


def resize(call: Call) -> Value:
    """`Resize` (input, region, scales, sizes) and the older `Upsample` (input, scales)."""
    source = call.integers()
    given = [index for index in range(1, len(call.args)) if call.arg(index) is not None]
    factors = [call.array(index).astype(np.float64).reshape(-1) for index in given]
    wanted = next((part for part in reversed(factors) if part.size == 4), None)
    if call.node.text("mode", "nearest") == "nearest" and len(source.shape) == 3 and wanted is not None:
        if call.arg(3) is not None:  # sizes instead of scales; the batch stays whatever it is
            wanted = np.array([1.0, *wanted[1:] / source.shape])
        if (wanted[:2] == 1).all() and _repeats(call, wanted[2:]):
            op = ops.Upsample(
                name=call.node.name,
                inputs=(source.tensor,),
                output=call.output,
                factor=(int(wanted[2]), int(wanted[3])),
            )
            return call.builder.emit(op, source.scale)
    raise call.refuse(
        "only nearest-neighbour upsampling of maps by whole factors is supported",
        remedy="use nn.Upsample(scale_factor=2)",
    )


def _repeats(call: Call, factors: np.ndarray) -> bool:
    """Whether the node's coordinates and rounding amount to repeating every element."""
    if not (np.isfinite(factors).all() and (factors == np.round(factors)).all() and (factors >= 1).all()):
        return False
    if call.node.kind == "Upsample":
        return True
    coordinates = call.node.text("coordinate_transformation_mode", "half_pixel")
    nearest = call.node.text("nearest_mode", "round_prefer_floor")
    if coordinates == "asymmetric":
        return nearest == "floor"
    return coordinates in ("half_pixel", "pytorch_half_pixel") and nearest.startswith("round")


def flatten(call: Call) -> Value:
    if call.node.integer("axis", 1) != 1:
        raise call.refuse("only axis 1 is supported", remedy="flatten everything but the batch")
    return _reshaped(call, (prod(_shape_of(call)),))


def reshape(call: Call) -> Value:
    target = [int(size) for size in call.array(1).reshape(-1)]
    value = call.arg(0)
    if isinstance(value, Constant):
        return _reordered(call, value, lambda array: array.reshape(target))
    sizes = target[1:]
    if not target or target[0] not in (-1, 0, 1, call.builder.batch) or 0 in sizes or sizes.count(-1) > 1:
        raise call.refuse(f"target {target!r} changes the batch", remedy="keep the batch as the first axis")
    if -1 in sizes:
        elements, known = prod(_shape_of(call)), -prod(sizes)
        sizes[sizes.index(-1)] = elements // known
    return _reshaped(call, tuple(sizes))


def _shape_of(call: Call) -> tuple[int, ...]:
    value = call.arg(0)
    if isinstance(value, (Signal, RawInput)):
        return value.shape
    raise call.refuse("it reshapes a constant", remedy="run qonnx's cleanup, which folds constants")


def _reshaped(call: Call, shape: tuple[int, ...]) -> Value:
    """The same elements under another shape; a program needs no operation for that."""
    value, old = call.arg(0), _shape_of(call)
    if prod(shape) != prod(old) or min(shape, default=0) < 1:
        raise call.refuse(f"a shape {old!r} does not fill {shape!r}", remedy="check the view() in the model")
    if isinstance(value, Signal):
        return Signal(value.tensor, shape, value.scale, value.steps)
    return RawInput(shape)


def transpose(call: Call) -> Value:
    """Of constants only: weights of exported linear layers are transposed."""
    value = call.arg(0)
    if not isinstance(value, Constant):
        raise call.refuse("activations cannot be transposed", remedy="keep the channels as axis 1")
    rank = value.value.ndim
    order = call.node.attributes.get("perm", tuple(range(rank))[::-1])
    if not isinstance(order, tuple) or sorted(order) != list(range(rank)):
        raise call.refuse(f"perm {order!r} is no order of {rank} axes", remedy=DAMAGED)
    return _reordered(call, value, lambda array: array.transpose(order))


def _reordered(call: Call, value: Constant, move) -> Constant:
    try:
        integers, scale = (None if part is None else move(part) for part in (value.integers, value.scale))
        return Constant(move(value.value), integers, scale)
    except (ValueError, OverflowError) as error:
        raise call.refuse(f"{error}", remedy=DAMAGED) from error


def arg_max(call: Call) -> Value:
    """`ArgMax`, or `TopK` of one, whose second output is the index."""
    source = call.one_scale()
    if call.node.integer("select_last_index", 0):
        raise call.refuse("of equals the lowest index wins", remedy="export with select_last_index=0")
    axis = call.node.integer("axis", 0 if call.node.kind == "ArgMax" else -1)
    if axis not in (1, -1) or len(source.shape) != 1:
        raise call.refuse("only the features of a vector can be compared", remedy="flatten the map first")
    if call.node.kind == "TopK" and (
        call.array(1).reshape(-1).tolist() != [1] or not call.node.integer("largest", 1)
    ):
        raise call.refuse("only the single greatest is supported", remedy="use k=1 and largest=1")
    op = ops.ArgMax(name=call.node.name, inputs=(source.tensor,), output=call.node.outputs[-1])
    signal = call.builder.emit(op, np.ones(()))
    return Signal(signal.tensor, (1,) if call.node.integer("keepdims", 1) else (), signal.scale)
