"""Whether a long run stays what it is: frames in order, memory flat, nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

from host.detect.frames import FrameEvent

__all__ = ["SoakObserver"]

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class SoakObserver:
    """Counts frames out of order, and how far resident memory grows after the first fifth of `frames`."""

    def __init__(self, frames: int):
        self._warm = max(1, frames // 5)
        self._every = max(1, frames // 200)
        self._last = -1
        self.frames = self.out_of_order = 0
        self.warm_mb = self.most_mb = 0.0

    def __call__(self, event: FrameEvent) -> None:
        self.out_of_order += event.index <= self._last
        self._last = event.index
        self.frames += 1
        if self.frames >= self._warm and self.frames % self._every == 0:
            resident = resident_mb()
            self.warm_mb = self.warm_mb or resident
            self.most_mb = max(self.most_mb, resident)

    @property
    def growth_mb(self) -> float:
        return self.most_mb - self.warm_mb


def resident_mb() -> float:
    """Memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB
