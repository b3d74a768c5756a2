"""When fetch, loader and sequencer do what: a class a unit, which follows the gateware of the same name."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import count
from typing import Any

from hw.arith.requantise import Requantise
from hw.arith.shift_lane import ShiftArray
from hw.stream import Fifo
from hw.tile.datapath import Datapath
from hw.tile.fetch import UNITS
from hw.tile.instruction import BYTES, Instruction, Opcode
from hw.tile.loader import Loader as GatewareLoader
from hw.tile.preset import Preset
from hw.tile.timing.bus import Reader
from hw.tile.timing.clock import Clock, Process, Stream
from hw.tile.timing.kept import KeptMaps

__all__ = ["Fetch", "Loader", "Queue", "Sequencer"]


#: Goes on with a cycle and the number of a burst.
Filling = Generator[Any, None, tuple[int, int]]


class Queue:
    """A unit's instructions: `given`, with the cycle from which on each is seen, and when each is `taken`."""

    def __init__(self, clock: Clock):
        self.given: Stream[tuple[int, Instruction]] = Stream(clock)
        self.taken: Stream[int] = Stream(clock)


class Fetch:
    """Beats to instructions and into `queues`; one whose queue is full holds up all that come after it."""

    def __init__(self, code: Sequence[Instruction], preset: Preset, clock: Clock, reader: Reader):
        self._code, self._preset, self._reader = code, preset, reader
        self.queues = [Queue(clock) for _ in UNITS]

    def run(self) -> Process:
        queue_of = {
            opcode: queue for queue, opcodes in zip(self.queues, UNITS, strict=True) for opcode in opcodes
        }
        reader, an_instruction = self._reader, BYTES // self._preset.channels
        # START is in cycle 0, and a register keeps the request.
        reader.requests.put((1, 0, len(self._code) * an_instruction))
        code, accepted = iter(self._code), 0
        for burst in count():
            comes, beats = yield from reader.bursts.item(burst)
            # As if there were no gaps: that there is room behind the buffer depends on the first beats only.
            reader.take(comes, beats, max(comes, accepted) + beats - 1)
            for _ in range(beats // an_instruction):
                instruction = next(code)
                if instruction.opcode is Opcode.END:
                    return
                accepted = max(comes, accepted) + an_instruction
                comes += an_instruction
                queue = queue_of[instruction.opcode]
                before = len(queue.given.items) - self._preset.queue
                if before >= 0:
                    taken = yield from queue.taken.item(before)
                    accepted = max(accepted, taken + 1)
                queue.given.put((accepted + Fifo.LATENCY_CYCLES, instruction))


class Loader:
    """LOAD: `ask` waits and requests planes ahead; `write` follows, a word or a column a cycle.

    `complete` and, of residual rows, `residual_ready` tell from which cycle on each load counts.
    """

    def __init__(self, preset: Preset, clock: Clock, reader: Reader, kept: KeptMaps, queue: Queue):
        self._preset, self._reader, self._kept, self._queue = preset, reader, kept, queue
        self.complete: Stream[int] = Stream(clock)
        self.residual_ready: Stream[int] = Stream(clock)
        self._asked: Stream[tuple[int, Instruction]] = Stream(clock)
        self._begun: Stream[int] = Stream(clock)
        self._copied = 0

    def ask(self, computed: Stream[int], stored: Stream[int], stored_kept: Stream[int]) -> Process:
        """A cycle to take an instruction, one more if it had to wait, and two a plane."""
        queue, bytes_a_word = self._queue, self._preset.channels
        free = taken = 0
        for number in count():
            seen, instruction = yield from queue.given.item(number)
            values = instruction.values
            reached = max(seen, taken + 1)
            rows = stored_kept if values.get("kept") else stored
            for counted, wait in ((computed, values["wait_compute"]), (rows, values.get("wait_store", 0))):
                if wait:
                    happens = yield from counted.item(wait - 1)
                    reached = max(reached, happens)
            taken = max(reached + 1, free)
            if number >= GatewareLoader.ASKED:
                begun = yield from self._begun.item(number - GatewareLoader.ASKED)
                taken = max(taken, begun + 1)
            queue.taken.put(taken)
            self._asked.put((taken + Fifo.LATENCY_CYCLES, instruction))
            free = taken + 1
            words = values["beats" if instruction.opcode is Opcode.LOAD_WEIGHTS else "words"]
            for plane in range(values.get("last_plane", 0) + 1 if words else 0):
                address = values["addr"] + plane * values.get("stride", 0)
                if values.get("kept"):
                    asked = yield from self._kept.free.item(len(self._kept.requests.items))
                    asked = max(asked, free + 1)
                    self._kept.requests.put((asked, words))
                else:
                    asked = yield from self._reader.free.item(len(self._reader.requests.items))
                    asked = max(asked, free + 1)
                    self._reader.requests.put((asked, address // bytes_a_word, words))
                free = asked + 1

    def write(self, residual_freed: Stream[int]) -> Process:
        """Of weights a cycle and their beats; of rows two cycles and all columns, those of fill too."""
        free = burst = residuals = 0
        for number in count():
            seen, instruction = yield from self._asked.item(number)
            values = instruction.values
            begun = max(seen, free)
            self._begun.put(begun)
            begins, planes, left, words, columns, right = self._parts(instruction)
            free = begun + begins
            if values.get("residual"):
                residuals += 1
                if residuals > self._preset.row_slots:
                    freed = yield from residual_freed.item(residuals - 1 - self._preset.row_slots)
                    free = max(free, freed + 2)
            twice, skip = values.get("twice", 0), values.get("skip", 0)
            for _ in range(planes):
                free += left
                if values.get("kept") and words:
                    free = yield from self._copy(free, columns, twice, skip)
                else:
                    free, burst = yield from self._read(free, burst, words, columns, twice, skip)
                free += right
            self.complete.put(free)
            if values.get("residual"):
                self.residual_ready.put(free)

    def _read(self, free: int, burst: int, words: int, columns: int, twice: int, skip: int) -> Filling:
        """The columns of a plane from memory, from the cycle `free` on; then free is, and the next burst."""
        come = filled = 0
        while come < words:
            comes, beats = yield from self._reader.bursts.item(burst)
            burst, come, before = burst + 1, come + beats, filled
            filled = min(2 * come - skip, columns) if twice else come
            free = max(free, comes) + filled - before
            alone = filled - 2 * (come - 1) + skip if twice else 1
            self._reader.take(comes, beats, free - 1, step=1 + twice, alone=alone)
        return free, burst

    def _copy(self, free: int, columns: int, twice: int, skip: int) -> Generator[Any, None, int]:
        """The columns of a plane from the maps on chip."""
        comes = yield from self._kept.runs.item(self._copied)
        self._copied += 1
        free = max(free, comes) + columns
        alone = 2 - (columns + skip) % 2 if twice else 1
        self._kept.take(free - 1, alone, 1 + twice)
        return free

    @staticmethod
    def _parts(instruction: Instruction) -> tuple[int, int, int, int, int, int]:
        """Cycles to begin, planes, and of each: cycles of fill, words, the columns of these, fill again."""
        values = instruction.values
        if instruction.opcode is Opcode.LOAD_WEIGHTS:
            return 1, 1, 0, values["beats"], values["beats"], 0
        # Fill takes a cycle on either side even where there is none.
        left, right = max(values["left"], 1), max(values["right"], 1)
        return 2, values["last_plane"] + 1, left, values["words"], values["columns"], right


class Sequencer:
    """COMPUTE: a beat a cycle, but where a row has no slot or the results before have not left.

    `computed` tells from which cycle on each one counts, `row_ready` from which on each row can be read, and
    `layers` when each LAYER was taken.
    """

    def __init__(self, preset: Preset, clock: Clock, queue: Queue):
        self._preset, self._queue = preset, queue
        self.computed: Stream[int] = Stream(clock)
        self.row_ready: Stream[int] = Stream(clock)
        self.layers: list[int] = []

    @staticmethod
    def row_cycles(preset: Preset) -> int:
        """From the last beat of a row to the first cycle in which its words can be read."""
        captured = Datapath.READ_CYCLES + 2 + ShiftArray.latency(preset.channels)
        return captured + preset.pixels + Requantise.LATENCY_CYCLES + 2

    def run(self, loaded: Stream[int], freed: Stream[int]) -> Process:
        preset, queue = self._preset, self._queue
        drain_cycles, row_cycles = Datapath.drain_cycles(preset), self.row_cycles(preset)
        free = taken = drained = last_beat = rows = 0
        for number in count():
            seen, instruction = yield from queue.given.item(number)
            values, seen = instruction.values, max(seen, taken + 1)
            if instruction.opcode is Opcode.LAYER:
                taken = max(seen, free)
                self.layers.append(taken)
                queue.taken.put(taken)
                free = taken + 1
                continue
            if values["wait_load"]:
                happens = yield from loaded.item(values["wait_load"] - 1)
                seen = max(seen, happens)
            taken = max(seen + 1, free, drained)
            queue.taken.put(taken)
            opens, beats, column, between = self._periods(values)
            free = taken + 1 + opens
            for row in range(values["last_row"] + 1):
                if rows >= preset.row_slots:
                    happens = yield from freed.item(rows - preset.row_slots)
                    free = max(free, happens + 1)
                rows += 1
                last_beat = max(free + beats - 1, last_beat + preset.pixels)
                if row == 0:
                    drained = last_beat + 1 + drain_cycles
                last_beat += values["last_column"] * column
                self.row_ready.put(last_beat + row_cycles)
                free = last_beat + 1 + between
            free = last_beat + 1
            self.computed.put(free)

    def _periods(self, values: dict[str, int]) -> tuple[int, int, int, int]:
        """Cycles before the first sum, of a sum, from a sum to the next of a row, and from row to row.

        Of a windowed layer, the very first window is read before its sum, each other one during the sum
        before its own: where that has fewer beats than the window has new words, its own has to wait.
        """
        beats = (values["last_digit"] + 1) * (values["last_block"] + 1)
        height, width = values["last_tap_y"] + 1, values["last_tap_x"] + 1
        if not values["windowed"]:
            beats *= height * width
            return 0, beats, max(beats, self._preset.pixels), 0
        words, others = height * width, height * values["column_step"]
        return words, beats, max(others, beats, self._preset.pixels), max(words - beats, 0)
