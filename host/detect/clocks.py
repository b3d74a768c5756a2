"""How long stages take: counts for ever, distributions and spans of the latest frames."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from host.detect.frames import Span

__all__ = ["StageClock", "StageFigures"]

#: Frames over which percentiles are taken, and frames of a timeline: memory stays flat however long it runs.
RECENT, DRAWN = 4096, 48


@dataclass(frozen=True)
class StageFigures:
    """Milliseconds a frame of one stage, its work alone without waiting for others."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    mean_ms: float

    @property
    def fps(self) -> float:
        """What this stage alone would reach."""
        return 1000 / self.mean_ms if self.mean_ms else float("inf")


class StageClock:
    """Written by the stage's thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._spans: deque[tuple[int, Span]] = deque(maxlen=DRAWN)
        self._count, self._total, self._most, self._last_end = 0, 0.0, 0.0, 0.0

    def add(self, index: int, span: Span) -> None:
        # Frames may overlap inside an engine; only the time that a frame adds counts.
        spent = 1000 * (span[1] - max(span[0], self._last_end))
        with self._lock:
            self._recent.append(spent)
            self._spans.append((index, span))
            self._count += 1
            self._total += spent
            self._most = max(self._most, spent)
            self._last_end = span[1]

    @property
    def spans(self) -> list[tuple[int, Span]]:
        """Of the latest frames: index and span."""
        with self._lock:
            return list(self._spans)

    @property
    def figures(self) -> StageFigures:
        with self._lock:
            recent, count, total, most = list(self._recent), self._count, self._total, self._most
        if not recent:
            return StageFigures(0, 0.0, 0.0, 0.0, 0.0)
        p50, p99 = np.percentile(recent, [50, 99]).tolist()
        return StageFigures(count, p50, p99, most, total / count)
