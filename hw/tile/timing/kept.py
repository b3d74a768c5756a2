"""When words of the maps on chip are there for the loader."""

from __future__ import annotations

from itertools import count

from hw.tile.kept import KeptMaps as GatewareKeptMaps
from hw.tile.timing.clock import Clock, Process, Stream

__all__ = ["KeptMaps"]


class KeptMaps:
    """Requests to `runs`: the cycle in which the first word of each comes, and then one a cycle.

    Who asks puts (cycle, words) into `requests`, the cycle from that in `free` on. Who takes the words calls
    `take` for each run.
    """

    #: Words that are read before the first is taken.
    AHEAD = 2

    def __init__(self, clock: Clock):
        self.requests: Stream[tuple[int, int]] = Stream(clock)
        self.free: Stream[int] = Stream(clock)
        self.runs: Stream[int] = Stream(clock)
        self._taken: Stream[int] = Stream(clock)
        self.free.put(0)

    def take(self, cycle: int) -> None:
        """The last word of a run but `AHEAD` is taken in this cycle, or would be."""
        self._taken.put(cycle)

    def run(self) -> Process:
        for number in count():
            accepted, words = yield from self.requests.item(number)
            self.runs.put(accepted + GatewareKeptMaps.LATENCY_CYCLES)
            taken = yield from self._taken.item(number)
            self.free.put(max(accepted + words, taken if words > self.AHEAD else 0) + 1)
