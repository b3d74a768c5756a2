"""From a program's operations to the engine's layers: sums and maxima over planes of byte channels.

Concat and upsample cost nothing: they become views, lists of planes that lie anywhere, each perhaps read
twice over. An add is a convolution with ones. Signed bytes are kept with 128 added, which biases make up for.
A sum that nothing requantises leaves the engine byte by byte, in as many passes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hw.arith.requantise import SHIFT_MAX
from hw.arith.shift_lane import excess
from hw.tile.depthwise import is_windowed
from hw.tile.factors import without_factors
from hw.tile.folding import Fold, folding_of
from hw.tile.preset import Preset
from models.program import Program, ops
from models.program.digits import split_digits, weight_of
from models.program.ops import Op, Tensor

__all__ = ["Buffer", "Layer", "Lowered", "Plane", "View", "lower"]

DIGITS_MAX = 8


@dataclass(eq=False)
class Buffer:
    """Planes that one layer writes, or the host."""

    name: str
    planes: int
    height: int
    width: int
    born: int  #: layer that writes it; -1 for the host
    dies: int = -1  #: last layer that reads it
    offset: int = 0  #: in the arena
    #: Stored rows that must be complete before a row of it can be read; the schedule fills it in.
    row_stores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def nbytes(self, channels: int) -> int:
        return self.planes * self.height * self.width * channels


@dataclass(frozen=True)
class Plane:
    """One plane of a buffer as a reader sees it."""

    buffer: Buffer
    index: int
    channels: tuple[int, ...]  #: the tensor's channel in each lane, -1 for none
    zero: int = 0  #: the byte that stands for 0
    twice: bool = False  #: each element seen twice, down and across
    high_bytes: tuple[int, ...] = ()  #: indices of the planes with the higher bytes of a raw sum


@dataclass(frozen=True)
class View:
    """A tensor as planes."""

    planes: tuple[Plane, ...]
    height: int
    width: int

    @property
    def lanes(self) -> np.ndarray:
        """The channel in each lane of each plane, flat."""
        return np.array([channel for plane in self.planes for channel in plane.channels])

    @property
    def zeros(self) -> np.ndarray:
        return np.array([plane.zero for plane in self.planes for _ in plane.channels])


@dataclass(eq=False, kw_only=True)
class Layer:
    """One pass of the engine over a map."""

    op: Op
    name: str
    source: View
    output: Buffer
    first_plane: int  #: of the output
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    fold: Fold  #: of the words that the feature banks hold
    #: (digits, out channels, lanes of the source, kernel height, width); None: maximum
    digits: np.ndarray | None
    bias: np.ndarray  #: a channel of the output, zero points and the array's excess made up for
    shift: np.ndarray
    low: int = 0
    high: int = 255
    raw: bool = False
    fill: int | None = None  #: what padding reads as, where it is not zero
    macs: int = 0
    windowed: bool = False  #: each output sees its own channel only, and all taps of it at once


@dataclass
class Lowered:
    layers: list[Layer]
    buffers: list[Buffer]
    input: View
    outputs: list[View]


def lower(program: Program, preset: Preset) -> Lowered:
    """Refuses what the engine does not do, with the layer's name."""
    return _Lowering(program, preset).run()


class _Lowering:
    def __init__(self, program: Program, preset: Preset):
        self.program, self.preset = program, preset
        self.layers: list[Layer] = []
        self.buffers: list[Buffer] = []
        self.views: dict[str, View] = {}
        self.fused: set[str] = set()
        self.outputs = {output.tensor for output in program.outputs}

    def run(self) -> Lowered:
        source = self.program.tensors[self.program.input]
        self.views[source.name] = self._stored(source, self._zero(source, "the input"), born=-1)
        for op in self.program.ops:
            if op.name in self.fused:
                continue
            if isinstance(op, ops.Weighted):
                self._weighted(op)
            elif isinstance(op, ops.Add):
                self._add(op)
            elif isinstance(op, ops.Requantise):
                self._identity(op)
            elif isinstance(op, ops.MaxPool):
                self._max_pool(op)
            elif isinstance(op, ops.Concat):
                self._concat(op)
            elif isinstance(op, ops.Upsample):
                self._upsample(op)
            else:
                remedy = (
                    "load the model with style='requantise', and if it was, train with power-of-two scales "
                    "alone, batch normalisation folded into the weights before they are quantised"
                    if op.kind == "MultiThreshold"
                    else "leave it to the host"
                )
                raise op.refuse(f"the tile engine has no {op.kind}; {remedy}")
        outputs = [self.views[output.tensor] for output in self.program.outputs]
        for view in outputs:
            for plane in view.planes:
                plane.buffer.dies = len(self.layers)
                if plane.twice:
                    raise ops.ProgramError(
                        f"an output of program {self.program.name!r} holds the doubled map "
                        f"{plane.buffer.name!r}; put a convolution behind the doubling"
                    )
        return Lowered(self.layers, self.buffers, self.views[self.program.input], outputs)

    def _zero(self, tensor: Tensor, name: str) -> int:
        zero = 128 if tensor.minimum < 0 else 0
        if not (tensor.minimum + zero >= 0 and tensor.maximum + zero <= 255):
            raise ops.ProgramError(
                f"layer {name!r}: the engine keeps 8 bits an element and {tensor.name!r} has the range "
                f"{tensor.minimum}..{tensor.maximum}; requantise it to 0..255 or -128..127"
            )
        return zero

    def _stored(self, tensor: Tensor, zero: int, *, born: int, byte_count: int = 1) -> View:
        """A new buffer for a tensor; raw sums have a set of planes for each byte."""
        lanes = self.preset.channels
        count, height, width = (*tensor.shape, 1, 1)[:3]
        planes = -(-count // lanes)
        buffer = Buffer(tensor.name, planes * byte_count, height, width, born)
        self.buffers.append(buffer)
        numbers = [
            tuple(c if c < count else -1 for c in range(p * lanes, (p + 1) * lanes)) for p in range(planes)
        ]
        high = [tuple(p + planes * byte for byte in range(1, byte_count)) for p in range(planes)]
        return View(
            tuple(Plane(buffer, p, numbers[p], zero, high_bytes=high[p]) for p in range(planes)),
            height,
            width,
        )

    def _read(self, op: Op, name: str) -> View:
        view = self.views[name]
        for plane in view.planes:
            if plane.buffer.name in self.raw_names:
                raise op.refuse(
                    f"it reads the sums {plane.buffer.name!r}, which no activation quantiser has made bytes; "
                    "put one behind the layer that makes them"
                )
        return view

    @property
    def raw_names(self) -> set[str]:
        return {layer.output.name for layer in self.layers if layer.raw}

    def _touch(self, view: View) -> None:
        for plane in view.planes:
            plane.buffer.dies = max(plane.buffer.dies, len(self.layers))

    def _weighted(self, op: ops.Weighted) -> None:
        view = self._read(op, op.inputs[0])
        weights = np.asarray(op.weights)
        groups, stride, padding = 1, (1, 1), (0, 0, 0, 0)
        if isinstance(op, ops.Convolution):
            groups, stride, padding = op.groups, op.stride, op.padding
        else:
            channels = len({c for c in view.lanes if c >= 0})
            weights = weights.reshape(len(weights), channels, view.height, view.width)
        outputs, inputs = weights.shape[:2]
        dense = np.zeros((outputs, inputs * groups, *weights.shape[2:]), np.int64)
        for o in range(outputs):
            start = o // (outputs // groups) * inputs
            dense[o, start : start + inputs] = weights[o]
        self._sum(op, view, dense, np.asarray(op.bias), stride, padding)

    def _add(self, op: ops.Add) -> None:
        first, second = (self._read(op, name) for name in op.inputs)
        channels = self.program.tensors[op.output].shape[0]
        moved = tuple(
            replace(plane, channels=tuple(c + channels if c >= 0 else c for c in plane.channels))
            for plane in second.planes
        )
        view = View(first.planes + moved, first.height, first.width)
        eye = np.eye(channels, dtype=np.int64)
        self._sum(
            op, view, np.concatenate([eye, eye], axis=1)[:, :, None, None], np.zeros(channels, np.int64)
        )

    def _identity(self, op: ops.Requantise) -> None:
        channels = len(op.bias)
        eye = np.eye(channels, dtype=np.int64)[:, :, None, None]
        self._sum(op, self._read(op, op.inputs[0]), eye, np.zeros(channels, np.int64), quantiser=op)

    def _sum(
        self, op: Op, view: View, weights, bias, stride=(1, 1), padding=(0, 0, 0, 0), quantiser=None
    ) -> None:
        """A layer of sums of products, with the quantiser behind it, or raw."""
        total = self.program.tensors[op.output if quantiser is None else op.inputs[0]]
        if quantiser is None:
            quantiser = self._quantiser_behind(op)
        lanes = view.lanes
        spread = np.where((lanes >= 0)[None, :, None, None], weights[:, np.maximum(lanes, 0)], 0)
        bias = bias - (spread * view.zeros[None, :, None, None]).sum(axis=(1, 2, 3))
        window = {"kernel": weights.shape[2:], "stride": stride, "padding": padding}
        macs = op.macs(self.program.tensors[op.output])
        span = max(abs(total.minimum), abs(total.maximum))
        if quantiser is None:
            self._raw_or_bytes(op, view, total, bias, span, macs, window | self._weights(op, spread))
            return
        result = self.program.tensors[quantiser.output]
        zero = self._zero(result, quantiser.name)
        offset = np.asarray(quantiser.bias) + (zero << np.asarray(quantiser.shift))
        self._check_width(op, span + int(np.abs(offset).max(initial=0)))
        spread, bias, shift = without_factors(spread, bias + offset, np.asarray(quantiser.shift))
        if shift.max(initial=0) > SHIFT_MAX:
            raise quantiser.refuse(
                f"the engine shifts by at most {SHIFT_MAX}, not {shift.max()}; use a finer scale"
            )
        out = self._stored(result, zero, born=len(self.layers))
        self._append(
            op, view, out, bias=bias, shift=shift, low=quantiser.minimum + zero,
            high=quantiser.maximum + zero, macs=macs, **window, **self._weights(op, spread),
        )  # fmt: skip
        self.views[quantiser.output] = out

    def _weights(self, op: Op, weights: np.ndarray) -> dict[str, Any]:
        digits = split_digits(weights)
        if len(digits) > DIGITS_MAX:
            raise op.refuse(
                f"its weights are sums of {len(digits)} digits, more than {DIGITS_MAX}; train with fewer bits"
            )
        return {"digits": digits}

    def _raw_or_bytes(self, op, view, total: Tensor, bias, span: int, macs: int, shape: dict) -> None:
        fits = (
            total.maximum - min(total.minimum, 0) <= 255
            and total.minimum >= -128
            and (total.minimum >= 0 or total.maximum <= 127)
        )
        channels = len(bias)
        if fits:
            zero = self._zero(total, op.name)
            out = self._stored(total, zero, born=len(self.layers))
            self._append(
                op,
                view,
                out,
                bias=bias + zero,
                shift=np.zeros(channels, np.int64),
                macs=macs,
                **shape,
            )
        else:
            self._check_width(op, span)
            byte_count = -(-(total.bits + (not total.signed)) // 8)
            out = self._stored(total, 0, born=len(self.layers), byte_count=byte_count)
            for byte in range(byte_count):
                self._append(
                    op, view, out, bias=bias, shift=np.full(channels, 8 * byte), raw=True,
                    first_plane=byte * len(out.planes), macs=macs if byte == 0 else 0, **shape,
                )  # fmt: skip
        self.views[op.output] = out

    def _check_width(self, op: Op, span: int) -> None:
        bits = self.preset.accumulator_bits
        if span >= 1 << bits - 1:
            raise op.refuse(
                f"its sums reach {span:,}, more than the {bits} bits of the engine's accumulators hold; "
                "use fewer bits for weights or activations"
            )

    def _quantiser_behind(self, op: Op) -> ops.Requantise | None:
        readers = self.program.readers_of(op.output)
        if len(readers) == 1 and isinstance(readers[0], ops.Requantise) and op.output not in self.outputs:
            self.fused.add(readers[0].name)
            return readers[0]
        return None

    def _append(self, op: Op, view: View, out: View, *, first_plane: int = 0, **fields) -> None:
        name = op.name + (f" byte {first_plane // len(out.planes)}" if fields.get("raw") else "")
        self._touch(view)
        dense = fields["digits"]
        if dense is not None:
            fields["bias"] = fields["bias"] - weight_of(excess(fields["digits"], axis=(2, 3, 4)))
            fields["windowed"] = is_windowed(fields["digits"], fields["stride"], self.preset)
            dense = None if fields["windowed"] else dense
        fields["fold"] = folding_of(dense, fields["kernel"], len(view.planes), self.preset)
        self.layers.append(
            Layer(
                op=op, name=name, source=view, output=out.planes[0].buffer, first_plane=first_plane, **fields
            )
        )

    def _max_pool(self, op: ops.MaxPool) -> None:
        view = self._read(op, op.inputs[0])
        tensor = self.program.tensors[op.output]
        lanes = len(view.lanes)
        height, width = tensor.shape[1:]
        buffer = Buffer(tensor.name, len(view.planes), height, width, len(self.layers))
        self.buffers.append(buffer)
        out = View(
            tuple(
                replace(plane, buffer=buffer, index=index, twice=False)
                for index, plane in enumerate(view.planes)
            ),
            *tensor.shape[1:],
        )
        self._append(
            op, view, out, kernel=op.kernel, stride=op.stride, padding=op.padding, digits=None,
            bias=np.zeros(lanes, np.int64), shift=np.zeros(lanes, np.int64), fill=0,
        )  # fmt: skip
        self.views[op.output] = out

    def _concat(self, op: ops.Concat) -> None:
        planes: list[Plane] = []
        start = 0
        for name in op.inputs:
            for plane in self.views[name].planes:
                channels = tuple(c + start if c >= 0 else c for c in plane.channels)
                planes.append(replace(plane, channels=channels))
            start += self.program.tensors[name].shape[0]
        first = self.views[op.inputs[0]]
        self.views[op.output] = View(tuple(planes), first.height, first.width)

    def _upsample(self, op: ops.Upsample) -> None:
        view = self._read(op, op.inputs[0])
        if op.factor == (1, 1):
            self.views[op.output] = view
            return
        if op.factor != (2, 2) or any(plane.twice for plane in view.planes) or op.output in self.outputs:
            raise op.refuse(
                f"the engine doubles a map once while a convolution reads it, not {op.factor!r}, "
                "twice in a row or as an output; put a convolution behind each doubling"
            )
        planes = tuple(replace(plane, twice=True) for plane in view.planes)
        self.views[op.output] = View(planes, 2 * view.height, 2 * view.width)
