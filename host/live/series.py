"""Numbers over time in little memory: sums a second, and times in bins that double."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

__all__ = ["Latencies", "PerSecond"]


class PerSecond:
    """Sums of several quantities for each of the last `seconds` seconds, the one under way left out."""

    def __init__(self, names: Sequence[str], *, seconds: int = 60):
        self._names = tuple(names)
        self._done: dict[str, deque[float]] = {name: deque(maxlen=seconds) for name in names}
        self._seconds = seconds
        self._second: int | None = None
        self._sums = dict.fromkeys(self._names, 0.0)

    def advance(self, now: float) -> None:
        """Close the seconds that are over by `now`."""
        second = math.floor(now)
        if self._second is None:
            self._second = second
        for _ in range(min(second - self._second, self._seconds + 1)):
            for name in self._names:
                self._done[name].append(self._sums[name])
                self._sums[name] = 0.0
        self._second = max(second, self._second)

    def add(self, **amounts: float) -> None:
        for name, amount in amounts.items():
            self._sums[name] += amount

    def columns(self) -> dict[str, list[float]]:
        """Oldest first."""
        return {name: list(values) for name, values in self._done.items()}

    def last(self, name: str) -> float:
        """Of the last full second; 0 before there is one."""
        return self._done[name][-1] if self._done[name] else 0.0


class Latencies:
    """How many times fell between powers of two, from `least_s` on: 0..1, 1..2, 2..4 ... of it."""

    def __init__(self, *, least_s: float = 0.000_5, bins: int = 14):
        self._edges = least_s * 2.0 ** np.arange(bins - 1)
        self._counts = np.zeros(bins, np.int64)
        self.most_s = 0.0

    def add(self, seconds: np.ndarray) -> None:
        seconds = seconds[np.isfinite(seconds)]
        if not len(seconds):
            return
        places = np.searchsorted(self._edges, seconds, side="right")
        self._counts += np.bincount(places, minlength=len(self._counts))
        self.most_s = max(self.most_s, float(seconds.max()))

    def quantile_s(self, share: float) -> float:
        """A bound that `share` of all times keep: the upper edge of the bin; 0 where nothing was added."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return min(float(self._edges[place]) if place < len(self._edges) else self.most_s, self.most_s)

    def described(self) -> dict[str, object]:
        """Counts by bin with the upper edges in milliseconds; the last bin has none."""
        return {
            "edges_ms": [round(edge * 1000, 6) for edge in self._edges.tolist()],
            "counts": self._counts.tolist(),
            "median_ms": round(self.quantile_s(0.5) * 1000, 4),
            "p99_ms": round(self.quantile_s(0.99) * 1000, 4),
            "most_ms": round(self.most_s * 1000, 4),
        }
