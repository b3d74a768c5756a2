"""When words come from memory and when they are there: the read port, and the engines that read and write."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count

from hw.bus.reader import Reader as GatewareReader
from hw.bus.transfer import BURST_BEATS, Planner
from hw.bus.writer import Writer as GatewareWriter
from hw.stream import Fifo, SkidBuffer
from hw.tile.timing.clock import Clock, Process, Stream

__all__ = ["ReadPort", "Reader", "Taken", "Writer", "burst_beats"]


def burst_beats(word: int, words: int, most: int = BURST_BEATS) -> Iterator[int]:
    """Beats of each burst of a transfer, cut at multiples of `most` as by `hw.bus.transfer.plan_bursts`."""
    end = word + words
    while word < end:
        beats = min(most - word % most, end - word)
        yield beats
        word += beats


class ReadPort:
    """A memory port, with a `ReadShare` if `shared`: an address a cycle, and in their order a beat a cycle.

    The first beat of a burst comes `latency + 1` cycles after its address, but not before the share's queue
    shows whose it is. An address takes `address_cycles` through the share.
    """

    def __init__(self, latency: int, *, shared: bool):
        self.shared = shared
        self._answers = max(latency + 1, Fifo.LATENCY_CYCLES if shared else 0)
        self.address_cycles = SkidBuffer.LATENCY_CYCLES if shared else 0
        self._asked = self._free = 0

    def read(self, cycle: int, beats: int) -> int:
        """The cycle of the first beat of a burst; who calls does so in this `cycle`."""
        self._asked = max(cycle, self._asked + 1)
        first = max(self._asked + self._answers, self._free)
        self._free = first + beats
        return first


class Taken:
    """When the last `beats` of a stream were taken: what holds so many has room after the oldest."""

    def __init__(self, beats: int):
        self._beats, self._cycles = beats, deque([0] * beats, beats)

    def add(self, last: int, beats: int, *, step: int = 1, alone: int = 1) -> None:
        """So many more, the last in cycle `last`, `alone` after the one before, the others every `step`."""
        before = last - alone
        self._cycles.extend(range(before - step * (min(beats, self._beats) - 2), before + 1, step))
        self._cycles.append(last)

    def oldest(self) -> int:
        return self._cycles[0]


class Reader:
    """Transfers to `bursts`: the cycle in which the first beat of each is at `data`, and how many there are.

    Who asks puts (cycle, word, words) into `requests`, the cycle from that in `free` on, and who takes the
    beats of a burst calls `take`. A burst is asked for when one of the `outstanding` before it has left the
    buffer.
    """

    #: From the planner through a register of the engine.
    ADDRESS_CYCLES = GatewareReader.ADDRESS_CYCLES - Planner.LATENCY_CYCLES
    #: From the buffer to `data`. The registers on this way hold `OUT_BEATS`, and the first is free
    #: `OUT_FREE_CYCLES` after a beat was taken.
    OUT_CYCLES = GatewareReader.DATA_CYCLES - Fifo.LATENCY_CYCLES
    OUT_BEATS = 6
    OUT_FREE_CYCLES = 2

    def __init__(self, clock: Clock, port: ReadPort, *, outstanding: int, most: int = BURST_BEATS):
        self._port, self._outstanding, self._most = port, outstanding, most
        self.requests: Stream[tuple[int, int, int]] = Stream(clock)
        self.free: Stream[int] = Stream(clock)
        self.bursts: Stream[tuple[int, int]] = Stream(clock)
        self._left: Stream[int] = Stream(clock)
        self._taken = Taken(self.OUT_BEATS + 1)
        self.free.put(0)

    def take(self, comes: int, beats: int, last: int, *, step: int = 1, alone: int = 1) -> None:
        """The beats of a burst, the first of which comes in cycle `comes`, are taken as `Taken.add` says."""
        self._taken.add(last, beats, step=step, alone=alone)
        passes = comes + beats - 1 - self.OUT_CYCLES
        self._left.put(max(passes, self._taken.oldest() + self.OUT_FREE_CYCLES))

    def run(self) -> Process:
        moved, asked = 0, 0
        for number in count():
            accepted, word, words = yield from self.requests.item(number)
            planned = accepted + Planner.LATENCY_CYCLES - 1
            for beats in burst_beats(word, words, self._most):
                planned = max(planned + 1, moved + 1)
                words -= beats
                if words == 0:
                    self.free.put(planned)
                moved = planned
                if asked >= self._outstanding:
                    left = yield from self._left.item(asked - self._outstanding)
                    moved = max(moved, left + 1)
                asked += 1
                address = moved + self.ADDRESS_CYCLES + self._port.address_cycles
                if self._port.shared:
                    yield address
                self.bursts.put((self._port.read(address, beats) + GatewareReader.DATA_CYCLES, beats))


class Writer:
    """Bursts of words to the cycles in which they are in memory.

    The address of a burst is given when all its words are buffered and one of the `outstanding` before has
    its response. The planner is left out: it is ahead of the words, but for rows of a word in quick memory.
    """

    #: From an address to the first word of its burst at the port.
    DATA_CYCLES = 2
    #: Words in the buffer and in the register before it.
    BUFFERED = GatewareWriter.BUFFERED_BURSTS * BURST_BEATS + 1

    def __init__(self, *, latency: int, outstanding: int):
        self._latency = latency
        self._sent = deque([0] * self.BUFFERED, self.BUFFERED)
        self._granted = deque([0] * GatewareWriter.BUFFERED_BURSTS, GatewareWriter.BUFFERED_BURSTS)
        self._answered = deque([0] * outstanding, outstanding)

    def room(self, beat: int) -> int:
        """From which cycle on the next burst's beat of this number can be taken."""
        return self._sent[beat] + 1

    def write(self, last: int, beats: int) -> tuple[int, int]:
        """A burst whose last word comes in cycle `last`: when that is taken, and when all are in memory."""
        taken = max(last, self._granted[0] + 1)
        granted = max(taken + Fifo.LATENCY_CYCLES, self._answered[0] + 1)
        self._granted.append(granted)
        first = max(granted + self.DATA_CYCLES, self._sent[-1] + 1)
        self._sent.extend(range(first, first + beats))
        answered = self._sent[-1] + 1 + self._latency
        self._answered.append(answered)
        return taken, answered
