"""When words of the maps on chip are there for the loader."""

from __future__ import annotations

from itertools import count

from hw.tile.kept import KeptMaps as GatewareKeptMaps
from hw.tile.timing.clock import Clock, Process, Stream

__all__ = ["KeptMaps"]


class KeptMaps:
    """Requests to `runs`: the cycle in which the first word of each comes, and then as they are taken.

    Who asks puts (cycle, words) into `requests`, the cycle from that in `free` on. Who takes the words calls
    `take` for each run. Words pass two registers, which move together: while a word waits in the second, all
    wait, and a gap before the first stays a gap.
    """

    def __init__(self, clock: Clock):
        self.requests: Stream[tuple[int, int]] = Stream(clock)
        self.free: Stream[int] = Stream(clock)
        self.runs: Stream[int] = Stream(clock)
        self._taken: Stream[tuple[int, int, int]] = Stream(clock)
        self.free.put(0)

    def take(self, last: int, alone: int, step: int) -> None:
        """The last word of a run is taken in this cycle, `alone` after the one before, others in steps."""
        self._taken.put((last - alone - step, last - alone, last))

    def run(self) -> Process:
        before = last = 0
        for number in count():
            accepted, words = yield from self.requests.item(number)
            if accepted < before:
                # It follows close behind the last word of the run before.
                first_read, comes = before, last + 1
            else:
                first_read = max(accepted + 1, last)
                comes = first_read + GatewareKeptMaps.LATENCY_CYCLES - 1
            self.runs.put(comes)
            third_last, second_last, its_last = yield from self._taken.item(number)
            # The last word is read when the third last is taken, if there are so many.
            last_read = {1: first_read, 2: comes - 1}.get(words, third_last)
            self.free.put(last_read + 1)
            before, last = (last if words == 1 else second_last), its_last
