"""From layers to instructions: tiles, buffers as endless tapes, waits, and the order in which all is issued.

A feature bank and the weight memory are tapes: what is loaded goes behind what was loaded before, addresses
wrap, and a load waits until the last compute that reads the words it overwrites is complete. Each instruction
waits only for instructions before it in the stream, so nothing can wait for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hw.arith.shift_lane import codes
from hw.tile.datapath import Datapath
from hw.tile.depthwise import plane_of, window_beats, window_codes, window_cycles
from hw.tile.instruction import BYTES, Instruction, Opcode
from hw.tile.lower import Layer, Lowered, Plane
from hw.tile.preset import Preset
from models.program.digits import DIGIT_BITS
from models.program.ops import ProgramError

__all__ = ["LayerCost", "Schedule", "Tiling", "schedule", "tiling_of", "weight_chunks"]

#: Loads that are issued ahead of the compute that needs them; the loader's queue holds more.
LOOKAHEAD = 100


@dataclass(frozen=True)
class Chunk:
    """Weights and biases of one group of output channels."""

    planes: tuple[int, int, int]  #: first plane of the source, count, step
    words: int
    data: bytes


@dataclass(frozen=True)
class Tiling:
    """How a layer is cut."""

    strips: int
    columns: int  #: output columns of a pixel lane
    rows: int  #: output rows of a compute
    resident: bool  #: weights stay for the layer; else they pass by for each tile of resident features


@dataclass
class LayerCost:
    """What the compiler knows of a layer: exact bytes and beats, and where they come from."""

    name: str
    macs: int
    tiling: Tiling
    beats: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    compulsory_bytes: int = 0
    instructions: int = 0
    cycles: int = 0
    windowed: bool = False


@dataclass
class _Load:
    opcode: Opcode
    values: dict[str, int]
    tape: _Tape
    end: int  #: on the tape
    wait_store: int
    layer: int
    cycles: int  #: of the loader
    beats: int  #: of the read port
    computes_before: int = 0  #: in the stream of instructions


@dataclass
class _Compute:
    values: dict[str, int]
    store: dict[str, int]
    loads: int
    layer: int
    cycles: int
    closes: bool = False


@dataclass
class _Tape:
    depth: int
    head: int = 0
    pieces: list[list[int]] = field(default_factory=list)  #: end, last compute that reads it
    _passed: int = 0
    _wait: int = 0

    def take(self, words: int) -> int:
        start, self.head = self.head, self.head + words
        self.pieces.append([self.head, 0])
        return start

    def wait_for(self, end: int) -> int:
        """Computes that must be complete before words up to `end` may be written; `end` must not fall."""
        while self._passed < len(self.pieces):
            before = self.pieces[self._passed - 1][0] if self._passed else 0
            if before >= end - self.depth:
                break
            self._wait = max(self._wait, self.pieces[self._passed][1])
            self._passed += 1
        return self._wait


@dataclass
class Schedule:
    code: list[Instruction]
    weights: bytes
    costs: list[LayerCost]


def weight_chunks(layer: Layer, preset: Preset) -> list[Chunk]:
    """Biases, shifts and weights in the order in which the sequencer reads them."""
    lanes, planes = preset.channels, len(layer.source.planes)
    chunks = []
    for start in range(0, len(layer.bias), lanes):
        stop = min(start + lanes, len(layer.bias))
        mask = (1 << preset.accumulator_bits) - 1
        first = np.zeros(lanes, "<u4")
        for index, (bias, shift) in enumerate(
            zip(layer.bias[start:stop], layer.shift[start:stop], strict=True)
        ):
            first[index] = (int(bias) & mask) | int(shift) << preset.accumulator_bits
        word_bits = preset.weight_beats * preset.bus_bits
        head = first.tobytes().ljust(word_bits // 8, b"\0")
        if layer.digits is None:
            chunks.append(Chunk((start // lanes, 1, 0), 1, head))
            continue
        digits = layer.digits[:, start:stop]
        if layer.windowed:
            plane = plane_of(digits, preset)
            assert plane is not None
            beats = window_codes(digits, plane, preset)
            packed = _packed(beats.reshape(len(beats), -1), word_bits)
            chunks.append(Chunk((plane, 1, 0), 1 + len(beats), head + packed))
            continue
        count, _, _, height, width = digits.shape
        blocks = digits.reshape(count, stop - start, planes, lanes, height, width)
        used = np.flatnonzero(blocks.any(axis=(0, 1, 3, 4, 5)))
        span = _progression(used)
        chosen = blocks[:, :, span[0] : span[0] + span[1] * max(span[2], 1) : max(span[2], 1)]
        padded = np.zeros((count, lanes, *chosen.shape[2:]), np.int64)
        padded[:, : stop - start] = chosen
        ordered = codes(padded).transpose(0, 4, 5, 2, 1, 3)  # digit, row, column, block, output, input
        body = _packed(ordered.reshape(-1, lanes**2), word_bits)
        chunks.append(Chunk(span, 1 + height * width * span[1] * count, head + body))
    return chunks


def _packed(words: np.ndarray, word_bits: int) -> bytes:
    """Rows of codes to weight words."""
    bits = words[:, :, None] >> np.arange(DIGIT_BITS, dtype=np.uint8) & 1
    flat = bits.reshape(len(words), -1)
    filled = np.zeros((len(words), word_bits), np.uint8)
    filled[:, : flat.shape[1]] = flat
    return np.packbits(filled, axis=1, bitorder="little").tobytes()


def _progression(used: np.ndarray) -> tuple[int, int, int]:
    if len(used) == 0:
        return 0, 1, 0
    if len(used) == 2:
        return int(used[0]), 2, int(used[1] - used[0])
    return int(used[0]), int(used[-1] - used[0]) + 1, 1


def tiling_of(layer: Layer, preset: Preset, chunks: list[Chunk]) -> Tiling | str:
    """The tiling that moves the fewest bytes, or which limit the layer exceeds."""
    out, planes = layer.output, len(layer.source.planes)
    (height, width), (down, right) = layer.kernel, layer.stride
    largest, total = max(chunk.words for chunk in chunks), sum(chunk.words for chunk in chunks)
    if largest > preset.weight_words:
        return f"{largest} weight words for {preset.channels} output channels, and {preset.weight_words} fit"
    if max(height, width) > 64 or right > 255:
        return "a kernel of more than 64 or a stride of more than 255"
    resident = total <= preset.weight_words
    best: tuple[float, Tiling] | None = None
    least_row = 0
    for strips in range(1, out.width + 1):
        columns = -(-out.width // (preset.pixels * strips))
        if strips > 1 and columns == -(-out.width // (preset.pixels * (strips - 1))):
            continue
        row = planes * ((columns - 1) * right + width)
        least_row = row
        if columns * preset.pixels > preset.row_words or row >= 1 << 16:
            continue
        if (columns * preset.pixels - 1) * right + width >= 1 << 12:
            continue
        room = preset.feature_words // row
        used = -(-out.width // (columns * preset.pixels))
        if resident:
            if room >= height + down or (room >= height and out.height == 1):
                return Tiling(used, columns, 1, True)
            continue
        if room < height:
            continue
        rows = max(1, min((room - height) // down + 1, ((room - height) // down + 1) // 2))
        rows = min(rows, out.height, 1024)
        if room >= height + (out.height - 1) * down:
            rows = out.height  # all of it fits
        if rows * down + height > room and rows < out.height and rows > 1:
            rows = 1
        if height + (rows - 1) * down > room:
            continue
        passes = used * -(-out.height // rows)
        tiling = Tiling(used, columns, rows, False)
        if best is None or passes < best[0]:
            best = (passes, tiling)
    if best is None:
        need = least_row * height
        return f"{need} words of features for the narrowest strip, and {preset.feature_words} fit"
    return best[1]


def schedule(lowered: Lowered, preset: Preset, *, weights_at: int) -> Schedule:
    return _Scheduler(lowered, preset, weights_at).run()


class _Scheduler:
    def __init__(self, lowered: Lowered, preset: Preset, weights_at: int):
        self.lowered, self.preset = lowered, preset
        self.features, self.words = _Tape(preset.feature_words), _Tape(preset.weight_words)
        self.loads: list[_Load] = []
        self.computes: list[_Compute] = []
        self.stores = 0
        self.weights = bytearray()
        self.weights_at = weights_at
        self.costs: list[LayerCost] = []

    def run(self) -> Schedule:
        for index, layer in enumerate(self.lowered.layers):
            self._layer(index, layer)
        code = self._merge()
        return Schedule(code, bytes(self.weights), self.costs)

    def _layer(self, index: int, layer: Layer) -> None:
        preset, out = self.preset, layer.output
        chunks = weight_chunks(layer, preset)
        tiling = tiling_of(layer, preset, chunks)
        if isinstance(tiling, str):
            raise _TooLarge(layer, preset, tiling)
        cost = LayerCost(layer.name, layer.macs, tiling, windowed=layer.windowed)
        self.costs.append(cost)
        addresses = []
        for chunk in chunks:
            addresses.append(self.weights_at + len(self.weights))
            self.weights += chunk.data
        if len(out.row_stores) == 0:
            out.row_stores = np.zeros(out.height, np.int64)
        cost.compulsory_bytes = sum(len(chunk.data) for chunk in chunks) + self._map_bytes(layer)
        resident: dict[int, list[int]] = {}
        for strip in range(tiling.strips):
            self._strip(index, layer, tiling, chunks, addresses, resident, strip)
        self.computes[-1].closes = True

    def _map_bytes(self, layer: Layer) -> int:
        lanes, out = self.preset.channels, layer.output
        read = sum(p.buffer.height * p.buffer.width for p in layer.source.planes)
        return (read + out.height * out.width * -(-len(layer.bias) // lanes)) * lanes

    def _strip(
        self, index: int, layer: Layer, tiling: Tiling, chunks, addresses, resident, strip: int
    ) -> None:
        preset, out, source = self.preset, layer.output, layer.source
        (height, width), (down, right) = layer.kernel, layer.stride
        window = (tiling.columns - 1) * right + width
        row_words = window * len(source.planes)
        first_column = strip * tiling.columns * preset.pixels
        valid = min(tiling.columns * preset.pixels, out.width - first_column)
        top = -layer.padding[0]
        loaded, base = 0, 0
        pieces: list[list[int]] = []
        for y in range(0, out.height, tiling.rows):
            rows = min(tiling.rows, out.height - y)
            needed = (y + rows - 1) * down + height
            order = [] if tiling.resident and resident else [0]
            for group in order:
                self._load_weights(index, chunks, addresses, resident, group, fresh=not tiling.resident)
            while loaded < needed:
                start = self.features.take(row_words)
                base = start if loaded == 0 else base
                pieces.append(self.features.pieces[-1])
                self._load_row(
                    index,
                    layer,
                    start,
                    window,
                    row=top + loaded,
                    column=first_column * right - layer.padding[1],
                    valid=valid,
                    step=tiling.columns * right,
                )
                loaded += 1
            for group, chunk in enumerate(chunks):
                if group not in resident or (not tiling.resident and group != 0):
                    self._load_weights(index, chunks, addresses, resident, group, fresh=not tiling.resident)
                piece = resident[group]
                number = len(self.computes) + 1
                for each in (*pieces[y * down : needed], piece):
                    each[1] = number
                self._compute(
                    index, layer, tiling, chunk, group, base + y * down * row_words, piece[0] - chunk.words,
                    y=y, rows=rows, window=window, row_words=row_words, first_column=first_column,
                    valid=valid,
                )  # fmt: skip

    def _load_weights(self, index, chunks, addresses, resident, group: int, *, fresh: bool) -> None:
        if group in resident and not fresh:
            return
        chunk = chunks[group]
        start = self.words.take(chunk.words)
        beats = chunk.words * self.preset.weight_beats
        self.costs[index].read_bytes += len(chunk.data)
        values = {"addr": addresses[group], "beats": beats, "base": start % self.preset.weight_words}
        self.loads.append(
            _Load(Opcode.LOAD_WEIGHTS, values, self.words, self.words.head, 0, index, beats + 2, beats)
        )
        resident[group] = self.words.pieces[-1]

    def _load_row(
        self,
        index: int,
        layer: Layer,
        start: int,
        window: int,
        *,
        row: int,
        column: int,
        valid: int,
        step: int,
    ) -> None:
        """One LOAD for each run of planes that lie evenly in memory."""
        lanes = self.preset.channels
        total = (valid - 1) * layer.stride[1] + layer.kernel[1]
        begin, end = max(column, 0), min(column + total, layer.source.width)
        inside = 0 <= row < layer.source.height and end > begin
        columns = end - begin if inside else 0
        left = begin - column if inside else total
        for first, count in _runs(layer.source.planes):
            plane = layer.source.planes[first]
            buffer, twice = plane.buffer, plane.twice
            y, x, skip = (row >> 1, begin >> 1, begin & 1) if twice else (row, begin, 0)
            words = -(-(columns + skip) // 2) if twice else columns
            wait = int(buffer.row_stores[: y + 1].max(initial=0)) if inside else 0
            at = start + first * window
            self.loads.append(
                _Load(
                    Opcode.LOAD_FEATURES,
                    {
                        "addr": buffer.offset + ((plane.index * buffer.height + y) * buffer.width + x) * lanes
                        if inside
                        else 0,
                        "stride": buffer.height * buffer.width * lanes,
                        "last_plane": count - 1,
                        "words": words,
                        "columns": columns,
                        "left": left,
                        "right": total - left - columns,
                        "base": at % self.preset.feature_words,
                        "plane_step": window % self.preset.feature_words,
                        "lane_step": step,
                        "window": window,
                        "fill": plane.zero if layer.fill is None else layer.fill,
                        "twice": int(twice),
                        "skip": skip if inside else 0,
                    },
                    self.features,
                    at + count * window,
                    wait,
                    index,
                    2 + count * (max(left, 1) + columns + max(total - left - columns, 1)),
                    words * count,
                )
            )
            self.costs[index].read_bytes += words * count * lanes

    def _compute(
        self,
        index,
        layer: Layer,
        tiling: Tiling,
        chunk: Chunk,
        group: int,
        base: int,
        weights: int,
        *,
        y,
        rows,
        window,
        row_words,
        first_column,
        valid,
    ) -> None:
        preset, out = self.preset, layer.output
        depth = preset.feature_words
        digits = 1 if layer.digits is None else len(layer.digits)
        (height, width), (down, right) = layer.kernel, layer.stride
        first, blocks, step = chunk.planes
        length = digits * blocks * height * width
        cycles, opens = rows * tiling.columns * max(length, preset.pixels), 0
        if layer.windowed:
            length = window_beats(digits, layer.kernel, preset)
            blocks = length // digits  # of taps
            row_first, others = window_cycles(digits, layer.kernel, layer.stride, preset)
            cycles = length + rows * (row_first + (tiling.columns - 1) * others)
            opens += row_first
        plane = layer.first_plane + group
        address = out.offset + ((plane * out.height + y) * out.width + first_column) * preset.channels
        values = {
            "base": (base + first * window) % depth,
            "weights": weights % preset.weight_words,
            "row_step": down * row_words % depth,
            "column_step": right,
            "tap_row_step": row_words % depth,
            "block_step": step * window % depth,
            "last_digit": digits - 1,
            "last_block": blocks - 1,
            "last_tap_x": width - 1,
            "last_tap_y": height - 1,
            "last_column": tiling.columns - 1,
            "last_row": rows - 1,
            "low": layer.low,
            "high": layer.high,
            "raw": int(layer.raw),
            "greatest": int(layer.digits is None),
            "windowed": int(layer.windowed),
        }
        store = {
            "addr": address,
            "stride": out.width * preset.channels,
            "last_row": rows - 1,
            "words": valid,
        }
        self.stores += rows
        out.row_stores[y : y + rows] = np.maximum(out.row_stores[y : y + rows], self.stores)
        cost = self.costs[index]
        cost.beats += rows * tiling.columns * length
        cost.write_bytes += rows * valid * preset.channels
        # The next biases wait until the first sum has taken these.
        cycles = max(cycles, opens + length + Datapath.drain_cycles(preset))
        self.computes.append(_Compute(values, store, len(self.loads), index, 1 + cycles))

    def _merge(self) -> list[Instruction]:
        """All in one stream; a load as early as what it waits for and the lookahead allow."""
        code: list[Instruction] = []
        issued = stores = 0
        waits: list[int] = []
        stores_after: list[int] = []

        def emit(opcode: Opcode, layer: int, values: dict[str, Any]) -> None:
            code.append(Instruction(opcode, values))
            self.costs[layer].instructions += 1

        for load in self.loads:
            waits.append(load.tape.wait_for(load.end))
        for number, compute in enumerate(self.computes):
            while issued < len(self.loads) and issued < compute.loads + LOOKAHEAD:
                load = self.loads[issued]
                if waits[issued] > number or load.wait_store > stores:
                    break
                values = load.values | {"wait_compute": waits[issued]}
                if load.opcode is Opcode.LOAD_FEATURES:
                    values["wait_store"] = load.wait_store
                emit(load.opcode, load.layer, values)
                load.computes_before = number
                issued += 1
            if issued < compute.loads:
                raise AssertionError(
                    f"layer {self.costs[compute.layer].name!r}: its tiling needs more than the buffers hold"
                )
            emit(Opcode.COMPUTE, compute.layer, compute.values | {"wait_load": compute.loads})
            emit(Opcode.STORE, compute.layer, compute.store)
            stores += compute.store["last_row"] + 1
            stores_after.append(stores)
            if compute.closes:
                emit(Opcode.LAYER, compute.layer, {"index": compute.layer & 0xFF})
        code.append(Instruction(Opcode.END, {}))
        self._predict(waits, stores_after)
        return code

    def _predict(self, waits: list[int], stores_after: list[int], *, latency: int = 40) -> None:
        """Cycles of each layer: three units in turn, each as slow as the beats it moves.

        The loader and the instructions share a port where there is one, and a load comes no sooner than the
        queue of the computes before it has room.
        """
        start_up, pipe = latency + 30, 14
        load_ends, compute_ends, store_ends = [0], [0], [0]
        issued, t_load, t_port, t_compute, t_store, closed = 0, start_up, start_up, 0, 0, 0
        fetch = BYTES // self.preset.channels if self.preset.ports == 1 else 0
        store_count = [0, *stores_after]

        def stored(count: int) -> int:
            index = int(np.searchsorted(store_count, count))
            return store_ends[index]

        for compute in self.computes:
            while issued < compute.loads:
                load = self.loads[issued]
                queued = max(load.computes_before - 1 - self.preset.queue, 0)
                begun = max(waits[issued], min(queued, len(compute_ends) - 1))
                ready = max(compute_ends[begun], stored(load.wait_store)) + latency + 12
                ready = ready if ready > latency + 12 else 0
                t_port = max(t_port, ready) + load.beats + fetch
                t_load = max(max(t_load, ready) + load.cycles, t_port)
                load_ends.append(t_load)
                issued += 1
            t_port += 2 * fetch  # the compute and its store
            t_compute = max(t_compute, load_ends[compute.loads]) + compute.cycles
            compute_ends.append(t_compute)
            rows = compute.store["last_row"] + 1
            t_store = max(
                t_store + rows * compute.store["words"], t_compute + pipe + compute.store["words"] + latency
            )
            store_ends.append(t_store)
            if compute.closes:
                t_compute += 1
                self.costs[compute.layer].cycles = t_compute - closed
                closed = t_compute


class _TooLarge(ProgramError):
    """A layer that no tiling of this preset holds."""

    def __init__(self, layer: Layer, preset: Preset, limit: str):
        self.layer = layer
        super().__init__(f"layer {layer.name!r} does not fit the engine {preset.name!r}: {limit}")


def _runs(planes: tuple[Plane, ...]) -> list[tuple[int, int]]:
    """Neighbours of one buffer that are read alike: first and count of each run."""
    runs: list[tuple[int, int]] = []
    for number, plane in enumerate(planes):
        before = planes[number - 1] if number else None
        if before is not None and (before.buffer, before.index + 1, before.zero, before.twice) == (
            plane.buffer,
            plane.index,
            plane.zero,
            plane.twice,
        ):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs
