"""From layers to instructions: buffers as endless tapes, waits, and the order in which all is issued.

Feature banks, each part of them, and the weight memory are tapes: what is loaded goes behind what was loaded
before, addresses wrap, and a load waits until the last compute that reads what it overwrites is complete.
Each instruction waits only for instructions before it in the stream, so nothing can wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hw.tile.depthwise import window_beats
from hw.tile.instruction import Instruction, Opcode
from hw.tile.keeping import AHEAD_ROWS, Turn
from hw.tile.layers import Plane
from hw.tile.parts import part_words, wrapped_address
from hw.tile.preset import Preset
from hw.tile.residual import OFFSET_BITS
from hw.tile.tiling import Cut, Tiling
from hw.tile.timing import layer_cycles

__all__ = ["LayerCost", "Schedule", "schedule"]

#: Loads that are issued ahead of the compute that needs them; the loader's queue holds more.
LOOKAHEAD = 100


@dataclass
class LayerCost:
    """What the compiler knows of a layer: exact bytes and beats, and where they come from."""

    name: str
    macs: int
    tiling: Tiling
    turn: int  #: layers of one turn make their rows alternately
    digits: int  #: of a weight
    beats: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    kept_bytes: int = 0  #: read or written on chip
    compulsory_bytes: int = 0
    instructions: int = 0
    cycles: int = 0
    windowed: bool = False
    folded: int = 1  #: pixels side by side in a word
    adds: bool = False  #: another map to its results, on their way out

    @property
    def products(self) -> int:
        """Of a digit and an activation: a lane makes one a cycle."""
        return self.macs * self.digits


@dataclass
class Schedule:
    code: list[Instruction]
    weights: bytes
    costs: list[LayerCost]


def schedule(cuts: list[Cut], turns: list[Turn], preset: Preset, *, weights_at: int) -> Schedule:
    return _Scheduler(cuts, turns, preset, weights_at).run()


@dataclass
class _Load:
    opcode: Opcode
    values: dict[str, int]
    layer: int
    sums_before: int = 0  #: STOREs that add, which must have been issued


@dataclass
class _Compute:
    values: dict[str, int]
    store: dict[str, int]
    layer: int
    closes: bool = False  #: the next one is of another layer


@dataclass
class _Tape:
    """A part of a memory, and of each word of the memory the last compute that reads it."""

    last: np.ndarray
    base: int
    size: int
    head: int = 0

    def take(self, words: int) -> tuple[int, int]:
        """Where the next words go, and the compute that must be complete before."""
        start, self.head = self.head, (self.head + words) % self.size
        return self.base + start, max(int(piece.max(initial=0)) for piece in self._pieces(start, words))

    def read(self, address: int, words: int, compute: int) -> None:
        for piece in self._pieces(address - self.base, words):
            piece[:] = compute

    def _pieces(self, start: int, words: int) -> Iterator[np.ndarray]:
        """What lies in so many words from a place on, the last of them perhaps at the part's beginning."""
        first = min(words, self.size - start)
        yield self.last[self.base + start : self.base + start + first]
        yield self.last[self.base : self.base + words - first]


@dataclass
class _Layer:
    """A layer that is being scheduled."""

    index: int
    cut: Cut
    share: int
    addresses: list[int]  #: of its groups of weights
    tape: _Tape  #: for rows of its source
    #: Groups that are in the weight memory: where, and how many words.
    weights: dict[int, tuple[int, int]] = field(default_factory=dict)
    rows: Iterator[int] = field(init=False)  #: makes the next rows, and says how many are made then
    made: int = 0

    def make(self, rows: int) -> None:
        while self.made < rows:
            self.made = next(self.rows)


class _Scheduler:
    def __init__(self, cuts: list[Cut], turns: list[Turn], preset: Preset, weights_at: int):
        self.cuts, self.turns, self.preset = cuts, turns, preset
        self.banks = np.zeros(preset.feature_words, np.int64)
        self.whole = _Tape(self.banks, 0, preset.feature_words)
        self.words = _Tape(np.zeros(preset.weight_words, np.int64), 0, preset.weight_words)
        self.loads: list[_Load] = []
        self.computes: list[_Compute] = []
        #: Rows stored so far in memory and on chip, and rows that were added.
        self.stored, self.stored_kept, self.sums = 0, 0, 0
        self.weights = bytearray()
        self.weights_at = weights_at
        self.costs: list[LayerCost] = []
        self.turn: dict[int, _Layer] = {}

    def run(self) -> Schedule:
        for number, turn in enumerate(self.turns):
            tapes = self._tapes(turn)
            layers = [
                self._layer(index, number, turn.share, tape)
                for index, tape in zip(turn.indices, tapes, strict=True)
            ]
            self.turn = {at.index: at for at in layers}
            for _ in layers[-1].rows:
                pass
        for compute, following in zip(self.computes, [*self.computes[1:], None], strict=True):
            compute.closes = following is None or following.layer != compute.layer
        code = self._merge()
        return Schedule(code, bytes(self.weights), self.costs)

    def _tapes(self, turn: Turn) -> list[_Tape]:
        """One for each layer; the part that was last read longest ago for the layer that loads first."""
        if turn.share == 0:
            return [self.whole]
        size = part_words(self.preset.feature_words, turn.share)
        bases = range(0, self.preset.feature_words, size)
        oldest = sorted(bases, key=lambda base: int(self.banks[base : base + size].max()))
        return [_Tape(self.banks, base, size) for base in oldest[: turn.layers]]

    def _layer(self, index: int, turn: int, share: int, tape: _Tape) -> _Layer:
        cut = self.cuts[index]
        layer, out = cut.layer, cut.layer.output
        cost = LayerCost(
            layer.name, layer.macs, cut.tiling, turn, layer.digit_count, windowed=layer.windowed,
            folded=layer.fold.pixels, adds=layer.addend is not None,
        )  # fmt: skip
        self.costs.append(cost)
        addresses = []
        for chunk in cut.chunks:
            addresses.append(self.weights_at + len(self.weights))
            self.weights += chunk.data
        if len(out.row_stores) == 0:
            out.row_stores = np.zeros(out.height, np.int64)
        cost.compulsory_bytes = cut.weight_bytes + self._map_bytes(cut)
        at = _Layer(index, cut, share, addresses, tape)
        at.rows = self._rows(at)
        return at

    def _map_bytes(self, cut: Cut) -> int:
        """What travels once each way, at least."""
        layer, out, lanes = cut.layer, cut.layer.output, self.preset.channels
        read = [p.buffer for p in layer.source.planes + layer.added]
        words = sum(buffer.height * buffer.width for buffer in read if not buffer.kept_rows)
        if not out.kept_rows:
            words += out.height * out.width * len(cut.chunks)
        return words * lanes

    def _rows(self, at: _Layer) -> Iterator[int]:
        for strip in range(at.cut.tiling.strips):
            yield from self._strip(at, strip)

    def _strip(self, at: _Layer, strip: int) -> Iterator[int]:
        layer, tiling = at.cut.layer, at.cut.tiling
        out, down = layer.output, layer.stride[0]
        first_column = strip * tiling.columns * self.preset.pixels
        valid = min(tiling.columns * self.preset.pixels, out.width - first_column)
        starts: list[int] = []
        for y in range(0, out.height, tiling.rows):
            rows = min(tiling.rows, out.height - y)
            needed = (y + rows - 1) * down + layer.kernel[0]
            fresh = not tiling.resident
            if (needed - y * down) * at.cut.row_words > at.tape.size:
                raise AssertionError(f"layer {layer.name!r}: its tiling needs more than the buffers hold")
            if fresh or not at.weights:
                self._load_weights(at, 0)
            while len(starts) < needed:
                row = len(starts) - layer.padding[0]
                self._await_row(layer, row)
                starts.append(self._load_row(at, row, first_column, valid))
            for group in range(len(at.cut.chunks)):
                if group not in at.weights or (fresh and group != 0):
                    self._load_weights(at, group)
                number = len(self.computes) + 1
                for start in starts[y * down : needed]:
                    at.tape.read(start, at.cut.row_words, number)
                self.words.read(*at.weights[group], number)
                self._compute(at, group, starts[y * down], rows)
                self._store(at, group, y, rows, first_column, valid)
            yield y + rows

    def _await_row(self, layer, row: int) -> None:
        """Make the layers whose turn it is go ahead of what this one reads."""
        for plane in layer.source.planes:
            writer = self.turn.get(plane.buffer.born)
            if writer is not None and 0 <= row < layer.source.height:
                read = (row >> 1 if plane.twice else row) + 1
                writer.make(min(read + AHEAD_ROWS, plane.buffer.height))

    def _load_weights(self, at: _Layer, group: int) -> None:
        chunk = at.cut.chunks[group]
        start, wait = self.words.take(chunk.words)
        beats = chunk.words * self.preset.weight_beats
        self.costs[at.index].read_bytes += len(chunk.data)
        values = {"addr": at.addresses[group], "wait_compute": wait, "beats": beats, "base": start}
        self.loads.append(_Load(Opcode.LOAD_WEIGHTS, values, at.index))
        at.weights[group] = (start, chunk.words)

    def _load_row(self, at: _Layer, row: int, first_column: int, valid: int) -> int:
        """One LOAD for each run of planes that lie evenly in memory; returns where the row is."""
        layer, source, window = at.cut.layer, at.cut.layer.source, at.cut.window
        column = first_column * layer.stride[1] - layer.padding[1]
        seen = (valid - 1) * layer.stride[1] + layer.kernel[1]
        # Pixels without weight complete the last word; fill does, and takes nothing from memory.
        total = seen + layer.fold.reach - layer.kernel[1]
        begin, end = max(column, 0), min(column + seen, source.width)
        inside = 0 <= row < source.height and end > begin
        columns = end - begin if inside else 0
        left = begin - column if inside else total
        start, wait = at.tape.take(at.cut.row_words)
        for first, count in _runs(source.planes):
            plane = source.planes[first]
            read = self._reading(plane, row, begin, columns)
            values = {
                "wait_compute": wait,
                "last_plane": count - 1,
                "left": left,
                "right": total - left - columns,
                "base": wrapped_address(
                    start + first * window, start, share=at.share, depth=self.preset.feature_words
                ),
                "plane_step": window % self.preset.feature_words,
                "lane_step": at.cut.tiling.columns * layer.stride[1],
                "window": window,
                "fill": plane.zero if layer.fill is None else layer.fill,
                "fold": layer.fold.code,
                "residual": 0,
                "share": at.share,
            }
            self._append_load(at.index, values | read)
        return start

    def _load_residual(self, at: _Layer, group: int, row: int, first_column: int, valid: int) -> None:
        plane = at.cut.layer.added[group]
        nothing = dict.fromkeys(
            ("wait_compute", "last_plane", "left", "right", "base", "plane_step", "lane_step", "window"), 0
        )
        values = nothing | {"fill": 0, "fold": 0, "residual": 1, "share": 0}
        self._append_load(at.index, values | self._reading(plane, row, first_column, valid))
        self.loads[-1].sums_before = self.sums - self.preset.row_slots + 1
        self.sums += 1

    def _reading(self, plane: Plane, row: int, begin: int, columns: int) -> dict[str, int]:
        """Of an instruction, what says where so many columns of a row of a plane are."""
        buffer, lanes = plane.buffer, self.preset.channels
        y, x, skip = (row >> 1, begin >> 1, begin & 1) if plane.twice else (row, begin, 0)
        return {
            "addr": buffer.offset + (buffer.words_before(plane.index, y) + x) * lanes if columns else 0,
            "stride": buffer.plane_words * lanes,
            "wait_store": int(buffer.row_stores[: y + 1].max(initial=0)) if columns else 0,
            "words": -(-(columns + skip) // 2) if plane.twice and columns else columns,
            "columns": columns,
            "twice": int(plane.twice),
            "skip": skip if columns else 0,
            "kept": int(buffer.kept_rows > 0),
        }

    def _append_load(self, layer: int, values: dict[str, int]) -> None:
        cost = self.costs[layer]
        moved = values["words"] * (values["last_plane"] + 1) * self.preset.channels
        if values["kept"]:
            cost.kept_bytes += moved
        else:
            cost.read_bytes += moved
        self.loads.append(_Load(Opcode.LOAD_FEATURES, values, layer))

    def _compute(self, at: _Layer, group: int, start: int, rows: int) -> None:
        preset, layer, tiling = self.preset, at.cut.layer, at.cut.tiling
        size = part_words(preset.feature_words, at.share)
        digits = layer.digit_count
        (height, width), (down, right) = layer.kernel, layer.stride
        first, blocks, step = at.cut.chunks[group].planes
        block_words = at.cut.window
        if layer.fold.code:  # words of a kernel's row are blocks
            width, block_words = 1, layer.fold.pixels
        length = digits * blocks * height * width
        if layer.windowed:
            length = window_beats(digits, layer.kernel, preset)
            blocks = length // digits  # of taps
        base = wrapped_address(start + first * block_words, start, share=at.share, depth=preset.feature_words)
        values = {
            "wait_load": len(self.loads),
            "base": base,
            "weights": at.weights[group][0],
            "row_step": down * at.cut.row_words % size,
            "column_step": right,
            "tap_row_step": at.cut.row_words % size,
            "block_step": step * block_words % size,
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
            "share": at.share,
        }
        self.costs[at.index].beats += rows * tiling.columns * length
        self.computes.append(_Compute(values, {}, at.index))

    def _store(self, at: _Layer, group: int, y: int, rows: int, first_column: int, valid: int) -> None:
        layer, lanes = at.cut.layer, self.preset.channels
        out, addend, cost = layer.output, layer.addend, self.costs[at.index]
        before = out.words_before(layer.first_plane + group, y) + first_column
        self.computes[-1].store = {
            "addr": out.offset + before * lanes,
            "stride": out.row_words * lanes,
            "last_row": rows - 1,
            "words": valid,
            "kept": int(out.kept_rows > 0),
            "adds": int(addend is not None),
            "offset": addend.offset % (1 << OFFSET_BITS) if addend else 0,
            "halves": int(addend.halves) if addend else 0,
            "low": addend.low if addend else 0,
            "high": addend.high if addend else 255,
        }
        moved = rows * valid * lanes
        if out.kept_rows:
            self.stored_kept += rows
            cost.kept_bytes += moved
        else:
            self.stored += rows
            cost.write_bytes += moved
        out.row_stores[y : y + rows] = self.stored_kept if out.kept_rows else self.stored
        if addend is not None:
            # Behind the compute, which need not wait for them.
            for row in range(y, y + rows):
                self._load_residual(at, group, row, first_column, valid)

    def _merge(self) -> list[Instruction]:
        """All in one stream; a load as early as what it waits for and the lookahead allow."""
        code: list[Instruction] = []
        issued, sums = 0, 0
        stores = {0: 0, 1: 0}  # in memory, and kept
        begun: set[int] = set()

        def emit(opcode: Opcode, layer: int, values: dict[str, Any]) -> None:
            code.append(Instruction(opcode, values))
            self.costs[layer].instructions += 1

        def load_up_to(most: int, computes: int) -> None:
            nonlocal issued
            while issued < min(len(self.loads), most):
                load, values = self.loads[issued], self.loads[issued].values
                stored = stores[values.get("kept", 0)]
                if (
                    values["wait_compute"] > computes
                    or values.get("wait_store", 0) > stored
                    or load.sums_before > sums
                ):
                    break
                emit(load.opcode, load.layer, values)
                issued += 1

        for number, compute in enumerate(self.computes):
            load_up_to(compute.values["wait_load"] + LOOKAHEAD, number)
            if issued < compute.values["wait_load"]:
                raise AssertionError(
                    f"layer {self.costs[compute.layer].name!r}: a load waits for what it feeds"
                )
            emit(Opcode.COMPUTE, compute.layer, compute.values)
            emit(Opcode.STORE, compute.layer, compute.store)
            stores[compute.store["kept"]] += compute.store["last_row"] + 1
            sums += (compute.store["last_row"] + 1) * compute.store["adds"]
            if compute.closes:
                first = compute.layer not in begun
                begun.add(compute.layer)
                emit(Opcode.LAYER, compute.layer, {"index": compute.layer & 0xFF, "first": int(first)})
        load_up_to(len(self.loads), len(self.computes))
        code.append(Instruction(Opcode.END, {}))
        closing = [compute.layer for compute in self.computes if compute.closes]
        for layer, cycles in zip(closing, layer_cycles(code, self.preset), strict=True):
            self.costs[layer].cycles += cycles
        return code


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
