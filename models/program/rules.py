"""The importer's table: one small rule for each ONNX operation that has an integer equivalent.

A rule gets the builder, the node and the values of its inputs and returns the values of its outputs. What has
no rule, or breaks one, is refused by node, rule and remedy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from models.program import ops
from models.program.builder import Builder
from models.program.graph import Node
from models.program.values import Constant, RawInput, Signal, Step, Value, int_levels, power_of_two

__all__ = ["REMEDIES", "RULES"]

Rule = Callable[[Builder, Node, list[Value | None]], Value]

#: For operations that users will meet: what to do instead.
REMEDIES = {
    "AveragePool": "use max pooling or a strided convolution, which integers compute exactly",
    "GlobalAveragePool": "use max pooling or a convolution over the whole map",
    "Sigmoid": "use a rectifier with a quantiser, or leave the sigmoid to the host after the last layer",
    "Softmax": "drop it: arg-max of the logits is the same, and the host can compute scores",
    "LogSoftmax": "drop it: arg-max of the logits is the same, and the host can compute scores",
    "Trunc": "use a quantiser that rounds (`Quant`) instead of truncation",
    "FloatQuant": "use an integer quantiser; models.quantisers has power-of-two weights as one",
    "ConvTranspose": "use nearest-neighbour upsampling and a convolution",
    "QuantizeLinear": "export QONNX (`models.quantisers.export`), not QDQ",
    "MultiThreshold": "import the model before FINN's streamlining, with its Quant nodes",
}


def _quantise(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    parameters = [builder.array(node, value) for value in args[1:]]
    if len(parameters) != (1 if node.kind == "BipolarQuant" else 3):
        raise node.refuse(f"has {len(args)} inputs", remedy="export the model again")
    levels = int_levels(node, parameters)
    source = args[0]
    if isinstance(source, Constant):
        scale = np.broadcast_to(levels.scale, source.value.shape)
        integers = levels.apply(source.value.astype(np.float32), scale)
        return Constant((integers * scale).astype(np.float32), integers, scale.astype(np.float64))
    if isinstance(source, RawInput):
        return builder.quantise_input(node, source, levels)
    return builder.quantise(node, _signal(node, source), levels)


def _signal(node: Node, value: Value | None) -> Signal:
    if isinstance(value, Signal):
        return value
    if isinstance(value, RawInput):
        raise node.refuse(
            "it reads the input before any quantiser",
            remedy="let the model begin with an input quantiser (models.quantisers.QuantInput)",
        )
    raise node.refuse("its first input is a constant", remedy="run qonnx's cleanup, which folds constants")


def _weights(node: Node, value: Value | None, *, outputs_axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Integer weights, and their scale as () or (outputs,)."""
    if not isinstance(value, Constant) or value.integers is None:
        raise node.refuse(
            "its weights are not quantised constants",
            remedy="give the layer a weight quantiser, for instance models.quantisers.TernaryWeight",
        )
    scale = np.moveaxis(np.asarray(value.scale), outputs_axis, 0).reshape(
        value.integers.shape[outputs_axis], -1
    )
    if (scale != scale[:, :1]).any():
        raise node.refuse(
            "its weights have a scale an input", remedy="use one scale a tensor or an output channel"
        )
    scale = scale[:, 0]
    return value.integers, scale[0] if (scale == scale[0]).all() else scale


def _linear_input(builder: Builder, node: Node, value: Value | None) -> Signal:
    signal = builder.integers(node, _signal(node, value))
    if signal.scale.ndim:
        raise node.refuse(
            "its input has a scale a channel", remedy="use an activation quantiser with one scale a tensor"
        )
    return signal


def _dense(
    builder: Builder, node: Node, source: Signal, constant: Value | None, bias: Value | None, *, axis: int
):
    integers, scale = _weights(node, constant, outputs_axis=axis)
    if integers.ndim != 2 or len(source.shape) != 1:
        raise node.refuse(
            f"weights of shape {integers.shape!r} on an input of shape {source.shape!r}",
            remedy="flatten the input before the layer",
        )
    weights = integers if axis == 0 else integers.T
    op = ops.Dense(
        name=node.name,
        inputs=(source.tensor,),
        output=node.outputs[0],
        weights=weights,
        bias=np.zeros(len(weights), np.int64),
    )
    return builder.linear(node, op, source.scale * scale, bias)


def _mat_mul(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = _linear_input(builder, node, args[0])
    return _dense(builder, node, source, args[1], None, axis=1)


def _gemm(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    alpha, beta = (float(str(node.attributes.get(name, 1.0))) for name in ("alpha", "beta"))
    if alpha != 1 or (beta != 1 and len(args) > 2) or node.integer("transA", 0):
        raise node.refuse("alpha and beta must be 1 and transA 0", remedy="fold the factors into the weights")
    source = _linear_input(builder, node, args[0])
    bias = args[2] if len(args) > 2 else None
    return _dense(builder, node, source, args[1], bias, axis=0 if node.integer("transB", 0) else 1)


def _convolution(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = _linear_input(builder, node, args[0])
    integers, scale = _weights(node, args[1], outputs_axis=0)
    if integers.ndim != 4 or len(source.shape) != 3:
        raise node.refuse(
            f"weights of shape {integers.shape!r} on an input of shape {source.shape!r}",
            remedy="only two-dimensional convolutions are supported; give a sequence a height of 1",
        )
    _plain_window(node)
    op = ops.Convolution(
        name=node.name,
        inputs=(source.tensor,),
        output=node.outputs[0],
        weights=integers,
        bias=np.zeros(len(integers), np.int64),
        groups=node.integer("group", 1),
        stride=node.integers("strides", (1, 1)),
        padding=node.integers("pads", (0, 0, 0, 0)),
    )
    return builder.linear(node, op, source.scale * scale, args[2] if len(args) > 2 else None)


def _plain_window(node: Node) -> None:
    if node.integers("dilations", (1, 1)) != (1, 1):
        raise node.refuse("dilation is not supported", remedy="use a larger kernel or a stride")
    if node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID", ""):
        raise node.refuse("padding must be given in numbers", remedy="export with explicit padding")


def _batch_norm(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = _signal(node, args[0])
    if len(args) != 5:
        raise node.refuse(f"has {len(args)} inputs, not 5", remedy="export the model again")
    gamma, beta, mean, variance = (builder.array(node, value).astype(np.float32) for value in args[1:])
    channels = builder.channels(node, source)
    if {part.shape for part in (gamma, beta, mean, variance)} != {(channels,)}:
        raise node.refuse(
            f"its parameters must have shape {(channels,)!r}", remedy="normalise before flattening"
        )
    # onnxruntime's own order of operations, so that every rounding is the executor's.
    epsilon = np.float32(float(str(node.attributes.get("epsilon", 1e-5))))
    if not (variance + epsilon > 0).all():
        raise node.refuse("a variance is negative", remedy="the file is damaged: export the model again")
    factor = np.float32(1) / np.sqrt(variance + epsilon) * gamma
    return builder.then(node, source, Step.of("affine", factor=factor, offset=beta - mean * factor))


def _relu(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = _signal(node, args[0])
    if not source.steps and builder.tensor(source).minimum >= 0:
        return source
    return source.then(Step.of("relu"))


def _multiply(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source, factor = _with_constant(builder, node, args, swap=True)
    if factor.ndim == 0 and power_of_two(factor) and not source.steps:
        return Signal(source.tensor, source.shape, source.scale * float(factor))
    return builder.then(node, source, Step.of("multiply", factor=factor))


def _divide(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source, divisor = _with_constant(builder, node, args, swap=False)
    if not divisor.all():
        raise node.refuse("it divides by zero", remedy="the file is damaged: export the model again")
    return builder.then(node, source, Step.of("divide", factor=divisor))


def _subtract(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source, offset = _with_constant(builder, node, args, swap=False)
    return builder.add_constant(node, source, -offset)


def _add(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    if any(isinstance(value, Constant) for value in args):
        source, offset = _with_constant(builder, node, args, swap=True)
        return builder.add_constant(node, source, offset)
    signals = builder.alike(node, [_signal(node, value) for value in args])
    return builder.emit(
        ops.Add(name=node.name, inputs=tuple(s.tensor for s in signals), output=node.outputs[0]),
        signals[0].scale,
    )


def _with_constant(
    builder: Builder, node: Node, args: list[Value | None], *, swap: bool
) -> tuple[Signal, np.ndarray]:
    """The signal and the constant as () or (channels,)."""
    if swap and isinstance(args[0], Constant):
        args = args[::-1]
    source = _signal(node, args[0])
    return source, builder.per_channel(node, source, args[1])


def _concat(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    signals = builder.alike(node, [_signal(node, value) for value in args])
    if node.integer("axis", 1) not in (1, -len(signals[0].shape)) or signals[0].scale.ndim:
        raise node.refuse(
            "only the channels can be joined, and under one scale", remedy="concatenate along axis 1"
        )
    for signal in signals:
        builder.channels(node, signal)
    return builder.emit(
        ops.Concat(name=node.name, inputs=tuple(s.tensor for s in signals), output=node.outputs[0]),
        signals[0].scale,
    )


def _max_pool(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = builder.integers(node, _signal(node, args[0]))
    _plain_window(node)
    if node.integer("ceil_mode", 0):
        raise node.refuse("ceil_mode is not supported", remedy="pad the map so that the windows fit")
    op = ops.MaxPool(
        name=node.name,
        inputs=(source.tensor,),
        output=node.outputs[0],
        kernel=node.integers("kernel_shape", (1, 1)),
        stride=node.integers("strides", (1, 1)),
        padding=node.integers("pads", (0, 0, 0, 0)),
    )
    return builder.emit(op, source.scale)


def _resize(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = builder.integers(node, _signal(node, args[0]))
    remedy = "use nearest-neighbour upsampling by a whole factor (nn.Upsample(scale_factor=2))"
    present = [builder.array(node, value) for value in args[1:] if value is not None]
    factors = [values for values in present if values.size]
    rank = len(source.shape) + 1
    if node.text("mode", "nearest") != "nearest" or len(source.shape) != 3 or factors[-1:] == []:
        raise node.refuse("only nearest-neighbour upsampling of maps is supported", remedy=remedy)
    scales = factors[-1].astype(np.float64).reshape(-1)
    if len(args) > 3 and args[3] is not None and scales.size == rank:  # sizes instead of scales
        scales = scales / np.array([scales[0], *source.shape])
    if scales.size != rank or (scales[:2] != 1).any() or not _repeats(node, scales[2:]):
        raise node.refuse(f"scales {scales.tolist()!r} do not repeat every element", remedy=remedy)
    op = ops.Upsample(
        name=node.name,
        inputs=(source.tensor,),
        output=node.outputs[0],
        factor=(int(scales[2]), int(scales[3])),
    )
    return builder.emit(op, source.scale)


def _repeats(node: Node, scales: np.ndarray) -> bool:
    """Whether the node's coordinates and rounding amount to repeating every element."""
    if not (np.isfinite(scales).all() and (scales == np.round(scales)).all() and (scales >= 1).all()):
        return False
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    nearest = node.text("nearest_mode", "round_prefer_floor")
    if coordinates == "asymmetric":
        return nearest == "floor" or bool((scales == 1).all())
    return coordinates in ("half_pixel", "pytorch_half_pixel") and nearest.startswith("round")


def _flatten(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    if node.integer("axis", 1) != 1:
        raise node.refuse("only axis 1 is supported", remedy="flatten everything but the batch")
    return _reshaped(node, args[0], (prod(_shape_of(node, args[0])),))


def _reshape(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    target = [int(size) for size in builder.array(node, args[1]).reshape(-1)]
    if isinstance(args[0], Constant):
        return _constant_reshape(node, args[0], target)
    shape = _shape_of(node, args[0])
    sizes = target[1:]
    if not target or target[0] not in (-1, 0, 1, builder.batch) or 0 in sizes:
        raise node.refuse(f"target {target!r} changes the batch", remedy="keep the batch as the first axis")
    if sizes.count(-1) == 1:
        known = -prod(sizes)
        sizes[sizes.index(-1)] = prod(shape) // known if known and not prod(shape) % known else 0
    return _reshaped(node, args[0], tuple(sizes))


def _constant_reshape(node: Node, constant: Constant, target: list[int]) -> Constant:
    try:
        integers, scale = (
            None if part is None else part.reshape(target) for part in (constant.integers, constant.scale)
        )
        return Constant(constant.value.reshape(target), integers, scale)
    except ValueError as error:
        raise node.refuse(f"{error}", remedy="the file is damaged: export the model again") from error


def _shape_of(node: Node, value: Value | None) -> tuple[int, ...]:
    if isinstance(value, (Signal, RawInput)):
        return value.shape
    raise node.refuse("it reshapes a constant", remedy="run qonnx's cleanup, which folds constants")


def _reshaped(node: Node, value: Value | None, shape: tuple[int, ...]) -> Value:
    if prod(shape) != prod(_shape_of(node, value)) or min(shape, default=0) < 1:
        raise node.refuse(f"shape {_shape_of(node, value)!r} does not fill {shape!r}", remedy="export again")
    if isinstance(value, RawInput):
        return RawInput(shape)
    assert isinstance(value, Signal)
    return Signal(value.tensor, shape, value.scale, value.steps)


def _transpose(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = args[0]
    if not isinstance(source, Constant):
        raise node.refuse("activations cannot be transposed", remedy="keep the channels as axis 1")
    rank = source.value.ndim
    order = node.attributes.get("perm", tuple(range(rank))[::-1])
    if not isinstance(order, tuple) or sorted(order) != list(range(rank)):
        raise node.refuse(
            f"perm {order!r} is no order of {rank} axes", remedy="the file is damaged: export again"
        )
    turned = (None if part is None else part.transpose(order) for part in (source.integers, source.scale))
    return Constant(source.value.transpose(order), *turned)


def _identity(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    if args[0] is None:
        raise node.refuse("it has no input", remedy="the file is damaged: export the model again")
    return args[0]


def _constant(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            return Constant(np.asarray(node.attributes[name]))
    raise node.refuse("it holds no number", remedy="the file is damaged: export the model again")


def _arg_max(builder: Builder, node: Node, args: list[Value | None]) -> Value:
    source = builder.integers(node, _signal(node, args[0]))
    if node.integer("select_last_index", 0):
        raise node.refuse("of equals the lowest index wins", remedy="export with select_last_index=0")
    if node.integer("axis", 0 if node.kind == "ArgMax" else -1) not in (1, -1) or len(source.shape) != 1:
        raise node.refuse("only the features of a vector can be compared", remedy="flatten the map first")
    if node.kind == "TopK" and not (
        builder.array(node, args[1]).reshape(-1).tolist() == [1] and node.integer("largest", 1)
    ):
        raise node.refuse("only the single greatest is supported", remedy="use k=1 and largest=1")
    if source.scale.ndim:
        raise node.refuse(
            "its input has a scale a channel", remedy="use one scale for the last layer's weights"
        )
    op = ops.ArgMax(name=node.name, inputs=(source.tensor,), output=node.outputs[-1])
    return builder.emit(op, np.ones(()))


RULES: dict[str, Rule] = {
    "Quant": _quantise,
    "IntQuant": _quantise,
    "BipolarQuant": _quantise,
    "MatMul": _mat_mul,
    "Gemm": _gemm,
    "Conv": _convolution,
    "BatchNormalization": _batch_norm,
    "Relu": _relu,
    "Mul": _multiply,
    "Div": _divide,
    "Add": _add,
    "Sub": _subtract,
    "Concat": _concat,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Upsample": _resize,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Identity": _identity,
    "Dropout": _identity,
    "Constant": _constant,
    "ArgMax": _arg_max,
    "TopK": _arg_max,
}
