"""Time for units that are foreseen and not simulated: each computes ahead as far as it has been told."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

__all__ = ["Clock", "Process", "Stream"]

T = TypeVar("T")

#: A unit at work. It yields a stream when it needs an item that is not there yet, and the cycle from which on
#: it wants what it shares with others.
Process = Generator["Stream[Any] | int", None, None]


class Stream(Generic[T]):
    """What a unit tells another, in order: mostly the cycles in which something happens, past or future."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self.items: list[T] = []
        self.waits: Process | None = None

    def put(self, item: T) -> None:
        self.items.append(item)
        if self.waits is not None:
            self._clock.wake(self.waits)
            self.waits = None

    def item(self, number: int) -> Generator[Stream[T], None, T]:
        """The item of this number, for `yield from`; one process may wait at a time."""
        while len(self.items) <= number:
            yield self
        return self.items[number]


class Clock:
    """Resumes processes: who was told something goes on at once, who shares something when its turn comes.

    What a unit alone decides is computed long before it happens; time passes only where the order matters. So
    a unit may learn of what lies ahead, but never of what is over: it has to be told before anybody waits.
    """

    def __init__(self) -> None:
        self._told: deque[Process] = deque()
        self._later: list[tuple[int, int, Process]] = []

    def wake(self, process: Process) -> None:
        self._told.append(process)

    def run(self, processes: Sequence[Process]) -> None:
        """Until all are over or wait for what nobody tells; of those that share, one a cycle, in turns."""
        numbers = {process: number for number, process in enumerate(processes)}
        self._told.extend(processes)
        now = last = -1
        while self._told or self._later:
            if self._told:
                process = self._told.popleft()
            else:
                now, last, process = self._next(last, len(numbers))
            wanted = next(process, None)
            if isinstance(wanted, Stream):
                wanted.waits = process
            elif wanted is not None:
                heappush(self._later, (max(wanted, now + 1), numbers[process], process))

    def _next(self, last: int, count: int) -> tuple[int, int, Process]:
        """Cycle, number, process: of those of the earliest cycle, the first behind the last one's number."""
        chosen, later = heappop(self._later), self._later
        tied = [chosen]
        while later and later[0][0] == chosen[0]:
            tied.append(heappop(later))
        if len(tied) > 1:
            chosen = min(tied, key=lambda each: (each[1] - last - 1) % count)
            for each in tied:
                if each is not chosen:
                    heappush(later, (each[0] + 1, *each[1:]))
        return chosen
