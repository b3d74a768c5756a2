"""Recorded frames at the speed of their bus, over and over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from host.ids.sources import Source, SourceError
from models.can_ids.frames import Frames

__all__ = ["PacedSource"]

#: Frames go on in batches of so much time: a batch's first frame waits this long for its verdict.
BATCH_S = 0.02
#: So far behind the bus, the frames between are left out and counted, as a receiver with a full queue does.
LATE_S = 0.5
#: Silence between the end of a recording and its next turn.
PAUSE_S = 0.5


class PacedSource:
    """Recorded frames as a live source; time stamps count from its start and go on over all turns."""

    live = True

    def __init__(
        self, source: Source, *, repeat: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if source.live:
            raise ValueError(f"{source.name} has a speed of its own already")
        self._source = source
        self._repeat = repeat
        self._clock = clock
        self._stopped = threading.Event()
        self._late = 0
        self._started: float | None = None
        self._first: float | None = None  #: time stamp at which the recording begins
        self.name = f"{source.name}, at the speed of the bus"
        self.turns = 0  #: how often the recording has been played to its end

    def bus_time(self) -> float:
        """Seconds since the start, on the clock of the time stamps."""
        return 0.0 if self._started is None else self._clock() - self._started

    @property
    def dropped(self) -> dict[str, int]:
        late = {"the board was slower than the bus": self._late} if self._late else {}
        return dict(self._source.dropped) | late

    @property
    def broken(self) -> str:
        return self._source.broken

    def chunks(self) -> Iterator[Frames]:
        self._started = self._clock()
        turn_starts = 0.0
        while True:
            ended = turn_starts
            for frames in self._source.chunks():
                stamped = self._stamped(frames, turn_starts, ended)
                if len(stamped):
                    ended = float(stamped.timestamp[-1])
                for batch in self._due(stamped):
                    if self._stopped.is_set():
                        return
                    yield batch
            self.turns += 1
            if not self._repeat or self._stopped.is_set():
                return
            if ended <= turn_starts:
                raise SourceError(f"{self._source.name} holds no CAN frame that could be played")
            turn_starts = ended + PAUSE_S
            self._first = None

    def _stamped(self, frames: Frames, turn_starts: float, ended: float) -> Frames:
        """On our clock; a frame without time stamp, or from before the last, comes with the one before it."""
        known = np.isfinite(frames.timestamp)
        if self._first is None and known.any():
            self._first = float(frames.timestamp[known][0])
        ours = np.where(known, frames.timestamp - (self._first or 0.0) + turn_starts, -np.inf)
        return replace(frames, timestamp=np.maximum.accumulate(np.maximum(ours, ended)))

    def _due(self, frames: Frames) -> Iterator[Frames]:
        """All of it, when its time comes; an empty batch is a look around."""
        done = 0
        while done < len(frames):
            now = self.bus_time()
            oldest = int(np.searchsorted(frames.timestamp, now - LATE_S))
            if oldest > done:
                self._late += oldest - done
                done = oldest
            ready = int(np.searchsorted(frames.timestamp, now, side="right"))
            yield frames[done:ready]
            done = max(done, ready)
            if done < len(frames) and self._stopped.wait(BATCH_S):
                return

    def stop(self) -> None:
        """End soon, from any thread."""
        self._stopped.set()

    def close(self) -> None:
        self.stop()
        self._source.close()
