"""When the storer reads finished rows, and when they are in memory or among the maps on chip."""

from __future__ import annotations

from collections import deque
from itertools import count

from hw.stream import Fifo, SkidBuffer
from hw.tile.preset import Preset
from hw.tile.storer import Storer as GatewareStorer
from hw.tile.timing.bus import Writer, burst_beats
from hw.tile.timing.clock import Clock, Process, Stream
from hw.tile.timing.units import Queue

__all__ = ["OutQueue", "Storer"]


class OutQueue:
    """The storer's queue to the write engine: in which cycle a word is read, and in which it has `left`.

    A word is read where fewer than `ROOM` wait in the queue, which does not show those on their way to it.
    """

    #: In the write engine's first register, and how long after one has left there the queue shows it.
    BEHIND, BEHIND_CYCLES = 2, 2
    #: From a word that is read to the write engine, through the queue and the engine's first register.
    OUT_CYCLES = GatewareStorer.READ_CYCLES + Fifo.LATENCY_CYCLES + SkidBuffer.LATENCY_CYCLES

    def __init__(self) -> None:
        on_the_way, waiting = GatewareStorer.READ_CYCLES, GatewareStorer.ROOM + self.BEHIND
        self._reads = deque([-on_the_way] * on_the_way, on_the_way)
        self.left = deque([0] * (waiting + on_the_way), waiting + on_the_way)
        self._waiting, self._on_the_way = waiting, on_the_way

    def next_read(self, free: int) -> int:
        """From the cycle `free` on, the first in which another word is read."""
        while self.left[-self._waiting] + self.BEHIND_CYCLES > free:
            unseen = sum(read >= free - self._on_the_way for read in self._reads)
            seen = self.left[-self._waiting - unseen] + self.BEHIND_CYCLES
            if seen <= free:
                break
            free = seen
        return free

    def read(self, cycle: int, leaves: int) -> None:
        """A word is read in this cycle, and may leave from the cycle `leaves` on."""
        self._reads.append(cycle)
        self.left.append(max(cycle + self.OUT_CYCLES, self.left[-1] + 1, leaves))


class Storer:
    """STORE: the words of each ready row, one a cycle, and two cycles from one STORE to the next.

    `freed` and `residual_freed` tell when the slot of each row was read, `stored` and `stored_kept` from
    which cycle on each counts.
    """

    def __init__(self, preset: Preset, clock: Clock, writer: Writer, queue: Queue):
        self._preset, self._writer, self._queue, self._out = preset, writer, queue, OutQueue()
        self.freed: Stream[int] = Stream(clock)
        self.residual_freed: Stream[int] = Stream(clock)
        self.stored: Stream[int] = Stream(clock)
        self.stored_kept: Stream[int] = Stream(clock)

    def run(self, row_ready: Stream[int], residual_ready: Stream[int]) -> Process:
        queue = self._queue
        free = rows = sums = 0
        for number in count():
            seen, instruction = yield from queue.given.item(number)
            values = instruction.values
            taken = max(seen, free)
            queue.taken.put(taken)
            free = taken + 1
            for row in range(values["last_row"] + 1):
                ready = yield from row_ready.item(rows)
                rows, free = rows + 1, max(free, ready)
                if values["adds"]:
                    ready = yield from residual_ready.item(sums)
                    sums, free = sums + 1, max(free, ready)
                if values["kept"]:
                    for _ in range(values["words"]):
                        free = self._out.next_read(free) + 1
                    self.stored_kept.put(free + GatewareStorer.READ_CYCLES)
                else:
                    free = self._write(free, values["addr"] + row * values["stride"], values["words"])
                self.freed.put(free - 1)
                if values["adds"]:
                    self.residual_freed.put(free - 1)
            free += 1

    def _write(self, free: int, addr: int, words: int) -> int:
        """A row to memory, from the cycle `free` on; returns the cycle after its last word was read."""
        out, in_memory = self._out, 0
        for beats in burst_beats(addr // self._preset.channels, words):
            for beat in range(beats):
                read = out.next_read(free)
                out.read(read, self._writer.room(beat))
                free = read + 1
            out.left[-1], in_memory = self._writer.write(out.left[-1], beats)
        # Two registers count it.
        self.stored.put(in_memory + 2)
        return free
