"""From a program's operations to the engine's layers: sums and maxima over planes of byte channels.

Concat and upsample cost nothing: they become views, lists of planes that lie anywhere, each perhaps read
twice over. An add is made on the way out of the later of its two maps where it can be (`Addend`), else it is
a convolution with ones. Signed bytes are kept with 128 added, which biases make up for.
A sum that nothing requantises leaves the engine byte by byte, in as many passes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hw.arith.requantise import SHIFT_MAX
from hw.arith.shift_lane import excess
from hw.tile.depthwise import is_windowed
from hw.tile.factors import without_factors
from hw.tile.folding import folding_of
from hw.tile.layers import Addend, Buffer, Layer, Lowered, Plane, View
from hw.tile.preset import Preset
from hw.tile.residual import OFFSET_BITS
from hw.tile.siblings import merge_siblings
from models.program import Program, ops
from models.program.digits import split_digits, weight_of
from models.program.ops import Op, Tensor

__all__ = ["depth_first", "lower"]

DIGITS_MAX = 8


def lower(program: Program, preset: Preset) -> Lowered:
    """Refuses what the engine does not do, with the layer's name."""
    lowered = _Lowering(program, preset).run()
    merge_siblings(lowered, preset)
    lowered.settle_lifetimes()
    return lowered


def depth_first(program: Program) -> list[Op]:
    """The operations in an order in which as many as possible read what the one before them made."""
    made, left = {program.input}, list(program.ops)
    order: list[Op] = []
    while left:
        ready = [op for op in left if made.issuperset(op.inputs)]
        next_op = next((op for op in ready if order and order[-1].output in op.inputs), ready[0])
        order.append(next_op)
        left.remove(next_op)
        made.add(next_op.output)
    return order


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
        self.views[source.name] = self._stored(source, self._zero(source, "the input"))
        for op in depth_first(self.program):
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

    def _stored(self, tensor: Tensor, zero: int, *, byte_count: int = 1) -> View:
        """A new buffer for a tensor; raw sums have a set of planes for each byte."""
        lanes = self.preset.channels
        count, height, width = (*tensor.shape, 1, 1)[:3]
        planes = -(-count // lanes)
        buffer = Buffer(tensor.name, planes * byte_count, height, width)
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
        addend, total = self._addend(result, zero)
        out = self._stored(total, self._zero(total, op.name))
        self._append(
            op, view, out, bias=bias, shift=shift, low=quantiser.minimum + zero, addend=addend,
            high=quantiser.maximum + zero, macs=macs, **window, **self._weights(op, spread),
        )  # fmt: skip
        self.views[total.name] = out

    def _addend(self, result: Tensor, zero: int) -> tuple[Addend | None, Tensor]:
        """What can be added to a layer's bytes as they leave, and what has left then."""
        readers = self.program.readers_of(result.name)
        if len(readers) != 1 or not isinstance(readers[0], ops.Add) or result.name in self.outputs:
            return None, result
        add = readers[0]
        other = next((name for name in add.inputs if name != result.name), None)
        if other not in self.views or not self._laid_out_as(result, self.views[other]):
            return None, result
        view = self._read(add, other)
        total, shift, bias = self.program.tensors[add.output], np.zeros(1, int), np.zeros(1, int)
        quantiser = self._quantiser_behind(add, fuse=False)
        if quantiser is not None:
            total, shift, bias = self.program.tensors[quantiser.output], quantiser.shift, quantiser.bias
        elif not _is_byte(total):
            return None, result
        if np.ptp(shift) or np.ptp(bias) or shift[0] > 1:
            return None, result
        after = self._zero(total, add.name)
        offset = int(bias[0]) + (after << int(shift[0])) - zero - view.planes[0].zero
        if not -(1 << OFFSET_BITS - 1) <= offset < 1 << OFFSET_BITS - 1:
            return None, result
        self.fused |= {add.name} | ({quantiser.name} if quantiser is not None else set())
        addend = Addend(view, offset, bool(shift[0]), total.minimum + after, total.maximum + after)
        return addend, total

    def _laid_out_as(self, result: Tensor, view: View) -> bool:
        """Whether a map's channels are in the lanes in which a layer leaves its own."""
        lanes, count = self.preset.channels, result.shape[0]
        expected = np.arange(-(-count // lanes) * lanes)
        zeros = {plane.zero for plane in view.planes}
        return len(zeros) == 1 and np.array_equal(np.where(expected < count, expected, -1), view.lanes)

    def _weights(self, op: Op, weights: np.ndarray) -> dict[str, Any]:
        digits = split_digits(weights)
        if len(digits) > DIGITS_MAX:
            raise op.refuse(
                f"its weights are sums of {len(digits)} digits, more than {DIGITS_MAX}; train with fewer bits"
            )
        return {"digits": digits}

    def _raw_or_bytes(self, op, view, total: Tensor, bias, span: int, macs: int, shape: dict) -> None:
        channels = len(bias)
        if _is_byte(total):
            zero = self._zero(total, op.name)
            out = self._stored(total, zero)
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
            out = self._stored(total, 0, byte_count=byte_count)
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

    def _quantiser_behind(self, op: Op, *, fuse: bool = True) -> ops.Requantise | None:
        readers = self.program.readers_of(op.output)
        if len(readers) == 1 and isinstance(readers[0], ops.Requantise) and op.output not in self.outputs:
            if fuse:
                self.fused.add(readers[0].name)
            return readers[0]
        return None

    def _append(self, op: Op, view: View, out: View, *, first_plane: int = 0, **fields) -> None:
        name = op.name + (f" byte {first_plane // len(out.planes)}" if fields.get("raw") else "")
        dense = fields["digits"]
        if dense is not None:
            fields["bias"] = fields["bias"] - weight_of(excess(dense, axis=(2, 3, 4)))
            fields["windowed"] = is_windowed(dense, fields["stride"], self.preset)
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
        buffer = Buffer(tensor.name, len(view.planes), height, width)
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


def _is_byte(total: Tensor) -> bool:
    """Whether the engine can keep it as it is."""
    return 0 <= total.minimum <= total.maximum <= 255 or -128 <= total.minimum <= total.maximum <= 127
