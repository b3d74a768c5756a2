"""What the importer's rules build a program with: emitted operations, and the few moves that rules share."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from models.program import ops
from models.program.folding import MAX_THRESHOLDS, as_requantise, as_thresholds, staircase
from models.program.graph import Graph, Node
from models.program.ops import Op, Tensor
from models.program.program import Output, Quantiser
from models.program.values import Constant, Levels, RawInput, Signal, Step, Value, power_of_two

__all__ = ["STYLES", "Builder"]

#: How a quantiser in the middle of the network is written down; see `models.program.importer.load`.
STYLES = ("auto", "thresholds", "requantise")


class Builder:
    """Operations so far, and the ranges of their results."""

    def __init__(self, graph: Graph, *, style: str):
        self.style = style
        self.batch = graph.input_shape[0]
        self.input_name = graph.input
        self.ops: list[Op] = []
        self.tensors: dict[str, Tensor] = {}
        self.quantiser: Quantiser | None = None
        self.notes: list[str] = []
        self._readers = Counter(name for node in graph.nodes for name in node.inputs) + Counter(graph.outputs)

    def tensor(self, signal: Signal) -> Tensor:
        return self.tensors[signal.tensor]

    def emit(self, op: Op, scale: np.ndarray) -> Signal:
        """Append an operation; its output holds integers of `scale`."""
        result = op.result(*(self.tensors[name] for name in op.inputs))
        self.ops.append(op)
        self.tensors[op.output] = result
        return Signal(op.output, result.shape, scale)

    def array(self, node: Node, value: Value | None) -> np.ndarray:
        """The numbers of a constant input, all finite."""
        if not isinstance(value, Constant):
            raise node.refuse(
                "a parameter is no constant", remedy="run qonnx's cleanup, which folds constants"
            )
        if value.value.dtype.kind not in "fiub" or not np.isfinite(value.value).all():
            raise node.refuse(
                "a parameter is not a finite number", remedy="the training diverged or the file is damaged"
            )
        return value.value

    def channels(self, node: Node, signal: Signal) -> int:
        """Channels of a signal that is not flattened out of a map."""
        shape = self.tensor(signal).shape
        if shape != signal.shape and (shape[1:] != (1, 1) or len(signal.shape) != 1):
            raise node.refuse(
                f"works on channels after {shape!r} was reshaped to {signal.shape!r}",
                remedy="put it before the flattening",
            )
        return shape[0]

    def per_channel(self, node: Node, signal: Signal, value: Value | None) -> np.ndarray:
        """A constant as () or (channels,); one that differs within a channel is refused."""
        array = self.array(node, value).astype(np.float32)
        if array.size == 1:
            return array.reshape(())
        rank = len(signal.shape) + 1
        shape = (1,) * (rank - array.ndim) + array.shape
        channels = self.channels(node, signal)
        if shape != (1, channels, *(1,) * (rank - 2)):
            raise node.refuse(
                f"a constant of shape {array.shape!r} does not fit {channels} channels",
                remedy="use one number, or one a channel",
            )
        return array.reshape(channels)

    def then(self, node: Node, signal: Signal, step: Step) -> Signal:
        if not (np.isfinite(step.factor).all() and np.isfinite(step.offset).all()):
            raise node.refuse("its constants overflow float32", remedy="the training diverged: train again")
        return signal.then(step)

    def quantise_input(self, node: Node, source: RawInput, levels: Levels) -> Signal:
        if levels.scale.size != 1 or levels.bipolar or levels.rounding not in ("ROUND", "HALF_EVEN"):
            raise node.refuse(
                "the input quantiser must have one scale, round half to even and not be bipolar",
                remedy="use models.quantisers.QuantInput",
            )
        quantiser = Quantiser(
            scale=float(levels.scale.reshape(())),
            zero=levels.zero,
            bits=levels.bits,
            signed=levels.signed,
            narrow=levels.narrow,
        )
        if self.quantiser not in (None, quantiser):
            raise node.refuse(
                "the input has a second, different quantiser", remedy="share one input quantiser"
            )
        self.quantiser = quantiser
        self.tensors[self.input_name] = Tensor(
            self.input_name, source.shape, quantiser.minimum, quantiser.maximum
        )
        return Signal(self.input_name, source.shape, levels.scale.reshape(()).astype(np.float64))

    def quantise(self, node: Node, signal: Signal, levels: Levels) -> Signal:
        """A quantiser in the middle: nothing where it changes nothing, else a shift or thresholds."""
        tensor = self.tensor(signal)
        levels = replace(levels, scale=self.per_channel(node, signal, Constant(levels.scale)))
        scale = levels.scale.astype(np.float64)
        inside = levels.minimum <= tensor.minimum and tensor.maximum <= levels.maximum
        same = signal.scale.shape == scale.shape and (signal.scale == scale).all()
        if inside and same and not signal.steps and not levels.bipolar:
            return signal
        op = self._staircase_op(node, signal, levels)
        return replace(self.emit(op, scale), shape=signal.shape)

    def _staircase_op(self, node: Node, signal: Signal, levels: Levels) -> Op:
        tensor = self.tensor(signal)
        channels = tensor.shape[0]
        if (levels.maximum - levels.minimum) * channels > MAX_THRESHOLDS:
            raise node.refuse(
                f"{levels.bits} bits on {channels} channels are more than {MAX_THRESHOLDS:,} levels",
                remedy="use at most 8 bits for activations",
            )
        low, high = self._channel_ranges(tensor)
        stairs = staircase(signal, levels, low, high)
        if stairs.fragile:
            self.notes.append(
                f"layer {node.name!r}: {stairs.fragile} of {stairs.thresholds.size} thresholds lie within a "
                "few float32 roundings of an integer; software that fuses operations (torch) may differ there"
            )
        names = {"name": node.name, "source": signal.tensor, "output": node.outputs[0]}
        wants_shift = self.style == "requantise" or (self.style == "auto" and len(tensor.shape) == 3)
        op = as_requantise(stairs, signal, levels, **names) if wants_shift else None
        return op or as_thresholds(stairs, **names)

    def _channel_ranges(self, tensor: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Each channel's own range where a linear layer makes the tensor: fewer steps, same thresholds."""
        for op in reversed(self.ops):
            if op.output == tensor.name and isinstance(op, (ops.Dense, ops.Convolution)):
                source = op.input_range(self.tensors[op.inputs[0]])
                low, high = op.channel_range(*source)
                return low.astype(np.int64), high.astype(np.int64)
        ones = np.ones(tensor.shape[0], np.int64)
        return ones * tensor.minimum, ones * tensor.maximum

    def integers(self, node: Node, signal: Signal) -> Signal:
        """The signal without float steps; a lone rectifier becomes a clip, anything else is refused."""
        if not signal.steps:
            return signal
        tensor = self.tensor(signal)
        if any(step.kind != "relu" for step in signal.steps):
            raise node.refuse(
                "it reads scaled or normalised values that no quantiser has made integers",
                remedy="put an activation quantiser (models.quantisers.Activation) before this layer",
            )
        zeros = np.zeros(tensor.shape[0], np.int64)
        output = f"{signal.tensor}_rectified"
        if output in self.tensors:
            return replace(signal, tensor=output, steps=())
        op = ops.Requantise(
            name=output,
            inputs=(signal.tensor,),
            output=output,
            bias=zeros,
            shift=zeros,
            minimum=0,
            maximum=max(tensor.maximum, 0),
        )
        return replace(self.emit(op, signal.scale), shape=signal.shape)

    def linear(
        self, node: Node, op: ops.Dense | ops.Convolution, scale: np.ndarray, bias: Value | None
    ) -> Signal:
        """Append a linear layer; its bias joins the integers where it lies on their grid."""
        if bias is None:
            return self._noted(self.emit(op, scale), op)
        array = self.array(node, bias).astype(np.float32).reshape(-1)
        if array.size not in (1, len(op.weights)):
            raise node.refuse(f"a bias of {array.size} for {len(op.weights)} outputs", remedy="export again")
        array = np.broadcast_to(array, (len(op.weights),))
        integers = self._on_grid(array, scale, bias)
        if integers is not None:
            return self._noted(self.emit(replace(op, bias=integers), scale), op)
        return self._noted(self.emit(op, scale), op).then(Step.of("add", offset=array))

    def _on_grid(
        self, array: np.ndarray, scale: np.ndarray, constant: Value | None = None
    ) -> np.ndarray | None:
        """The integers `array / scale`, if that is what they are."""
        if isinstance(constant, Constant) and constant.integers is not None and constant.scale is not None:
            flat = constant.scale.reshape(-1)
            if np.allclose(flat, scale, rtol=1e-6, atol=0):  # equal but for the exporter's float32 product
                return np.broadcast_to(constant.integers.reshape(-1), array.shape)
        ratio = array.astype(np.float64) / scale
        if (ratio == np.round(ratio)).all() and (np.abs(ratio) < 2.0**53).all():
            return ratio.astype(np.int64)
        return None

    def _noted(self, signal: Signal, op: Op) -> Signal:
        """Say where the float model, and not this program, is inexact."""
        tensor = self.tensor(signal)
        if max(abs(tensor.minimum), abs(tensor.maximum)) > 2**24:
            self.notes.append(f"layer {op.name!r}: sums exceed 2^24, which float32 executors round")
        elif not power_of_two(signal.scale):
            self.notes.append(
                f"layer {op.name!r}: the scale is no power of two, so float executors add noise in the last "
                "place; compare integers"
            )
        return signal

    def add_constant(self, node: Node, signal: Signal, offset: np.ndarray) -> Signal:
        """A bias: into the layer before where it alone is read and the grid allows, else a step."""
        last = self.ops[-1] if self.ops else None
        direct = signal.tensor in node.inputs and self._readers[signal.tensor] == 1 and not signal.steps
        if direct and isinstance(last, (ops.Dense, ops.Convolution)) and last.output == signal.tensor:
            integers = self._on_grid(np.broadcast_to(offset, last.bias.shape), signal.scale)
            if integers is not None:
                self.ops.pop()
                return replace(
                    self.emit(replace(last, bias=last.bias + integers), signal.scale), shape=signal.shape
                )
        return self.then(node, signal, Step.of("add", offset=offset))

    def alike(self, node: Node, signals: list[Signal]) -> list[Signal]:
        """The signals as integers of one scale, or a refusal."""
        signals = [self.integers(node, signal) for signal in signals]
        for other in signals[1:]:
            if signals[0].scale.shape != other.scale.shape or (signals[0].scale != other.scale).any():
                raise node.refuse(
                    f"its inputs have different scales, {_shown(signals[0].scale)} and {_shown(other.scale)}",
                    remedy="put the same activation quantiser object on each branch before they join",
                )
        return signals

    def output(self, name: str, value: Value | None) -> Output:
        """The end of a branch: what its integers mean."""
        node = Node(name, "output", (name,), (name,), {})
        if not isinstance(value, Signal):
            raise node.refuse(
                "it is not computed from a quantised input", remedy="check the model's forward()"
            )
        if value.affine() is None:
            value = self.integers(node, value)
        affine = value.affine()
        assert affine is not None
        scale, offset = (part[()] if part.ndim == 0 else part for part in map(np.asarray, affine))
        shape = self.tensor(value).shape
        if shape != value.shape and (np.ndim(scale) or np.ndim(offset)):
            raise node.refuse(
                "it has a scale a channel and another shape", remedy="use one scale for the last layer"
            )
        return Output(
            tensor=value.tensor, shape=value.shape, scale=np.asarray(scale), offset=np.asarray(offset)
        )


def _shown(scale: np.ndarray) -> str:
    return f"{float(scale):g}" if scale.ndim == 0 else f"{scale.size} a channel"
