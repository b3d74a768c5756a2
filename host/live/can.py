"""What the page says of the CAN bus: traffic, load, classes, alerts, and how long verdicts take."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from host.ids.records import UNJUDGED, Verdicts
from host.ids.sinks import class_name
from host.live.series import Latencies, PerSecond
from models.can_ids.frames import Attack
from models.can_ids.generator_bus import wire_bits

__all__ = ["AlertLog", "CanMonitor"]

#: Verdicts that wait for the next look at them; a bus at 1 Mbit/s brings some 20,000 a second.
PENDING_FRAMES = 1 << 17
ALERT_ROWS = 12
#: Alerts of one class with less time between them are one row, and so many identifiers are told apart in it.
QUIET_S, MOST_IDENTIFIERS = 1.0, 1000


class CanMonitor:
    """A sink that costs the pipeline an append a batch; `snapshot` does the work, in the page's thread.

    `bus_time` is the clock of the time stamps, where there is one: verdicts are timed by it. `ask` reads the
    board's counters; it is called in the pipeline's thread, where alone a board may be used.
    """

    def __init__(
        self,
        classes: Sequence[Attack],
        *,
        bit_rate: float = 500_000.0,
        bus_time: Callable[[], float] | None = None,
        dropped: Callable[[], dict[str, int]] = dict,
        ask: Callable[[], dict[str, int]] = dict,
        clock_hz: float | None = None,
    ):
        self._names = [class_name(classes, index) for index in (*range(len(classes)), UNJUDGED)]
        self._indices = [*range(len(classes)), UNJUDGED]
        self._bit_rate = bit_rate
        self._bus_time = bus_time
        self._dropped, self._ask, self._clock_hz = dropped, ask, clock_hz
        self._lock = threading.Lock()
        self._pending: deque[tuple[Verdicts, float | None]] = deque()
        self._pending_frames = self._unseen = 0
        self._asked_at, self._counters = float("-inf"), dict[str, int]()
        self._frames = np.zeros(UNJUDGED + 1, np.int64)
        self._alerts = np.zeros(UNJUDGED + 1, np.int64)
        self._history = PerSecond(("frames", "alerts", "bits"))
        self._latencies = Latencies()
        self._log = AlertLog(self._names[:-1])
        self._now = 0.0

    def take(self, verdicts: Verdicts) -> None:
        now = self._bus_time() if self._bus_time else None
        if time.monotonic() - self._asked_at >= 1.0:
            self._asked_at, self._counters = time.monotonic(), self._ask()
        if not len(verdicts):
            return
        with self._lock:
            self._pending.append((verdicts, now))
            self._pending_frames += len(verdicts)
            while self._pending_frames > PENDING_FRAMES and len(self._pending) > 1:
                left_out = len(self._pending.popleft()[0])
                self._pending_frames -= left_out
                self._unseen += left_out

    def close(self) -> list[str]:
        return []

    def snapshot(self) -> dict[str, Any]:
        """All that the page shows, after a look at what came since the last time."""
        with self._lock:
            pending, self._pending, self._pending_frames = list(self._pending), deque(), 0
        for verdicts, now in pending:
            self._count(verdicts, now)
        if pending:
            self._add_history(Verdicts.concatenate([verdicts for verdicts, _ in pending]))
        if self._bus_time:
            self._now = self._bus_time()
            self._history.advance(self._now)
        return self._described()

    def _count(self, verdicts: Verdicts, now: float | None) -> None:
        self._frames += np.bincount(verdicts.verdict, minlength=UNJUDGED + 1)
        if now is not None:
            self._latencies.add(np.maximum(now - verdicts.frames.timestamp, 0.0))
        alerts = verdicts[np.flatnonzero(verdicts.alert)]
        self._alerts += np.bincount(alerts.verdict, minlength=UNJUDGED + 1)
        self._log.add(alerts)

    def _add_history(self, verdicts: Verdicts) -> None:
        times = np.nan_to_num(verdicts.frames.timestamp, nan=0.0)
        bits = wire_bits(verdicts.frames)
        self._now = float(times[-1])
        seconds = np.floor(times)
        for second in np.unique(seconds).tolist():
            rows = seconds == second
            self._history.advance(second)
            self._history.add(
                frames=int(rows.sum()), alerts=int(verdicts.alert[rows].sum()), bits=int(bits[rows].sum())
            )

    def _described(self) -> dict[str, Any]:
        history = self._history.columns()
        load = [round(bits / self._bit_rate, 4) for bits in history.pop("bits")]
        dropped = dict(self._dropped())
        if self._unseen:
            dropped["too many for the page to look at (judged all the same)"] = self._unseen
        worst = self._counters.get("latency_cycles_max")
        return {
            "now": round(self._now, 3),
            "frames": int(self._frames.sum()),
            "alerts": int(self._alerts.sum()),
            "frames_per_s": self._history.last("frames"),
            "bus_load": load[-1] if load else 0.0,
            "bit_rate": self._bit_rate,
            "classes": [
                {"name": name, "frames": int(self._frames[index]), "alerts": int(self._alerts[index])}
                for name, index in zip(self._names, self._indices, strict=True)
            ],
            "history": {**history, "load": load},
            "latency": self._latencies.described() if self._bus_time else None,
            "overlay_latency_us": worst / self._clock_hz * 1e6 if worst and self._clock_hz else None,
            "last_alerts": self._log.rows(),
            "dropped": dropped,
        }


class AlertLog:
    """The last bursts of alerts: alerts of one class that follow each other closely are one row."""

    def __init__(self, names: Sequence[str], *, rows: int = ALERT_ROWS):
        self._names = names
        self._open: dict[int, dict[str, Any]] = {}  # by class
        self._identifiers: dict[int, set[int]] = {}
        self._rows: deque[dict[str, Any]] = deque(maxlen=rows)
        self._number = 0

    def add(self, alerts: Verdicts) -> None:
        for class_ in np.unique(alerts.verdict).tolist():
            mine = alerts[np.flatnonzero(alerts.verdict == class_)]
            times = np.nan_to_num(mine.frames.timestamp, nan=0.0)
            cuts = np.flatnonzero(np.diff(times) > QUIET_S) + 1
            for start, end in zip([0, *cuts.tolist()], [*cuts.tolist(), len(mine)], strict=True):
                self._merge(class_, mine[start:end], float(times[start]), float(times[end - 1]))

    def _merge(self, class_: int, alerts: Verdicts, first: float, last: float) -> None:
        row = self._open.get(class_)
        if row is None or first - row["last"] > QUIET_S:
            row = self._new_row(class_, first)
        row["last"], row["count"] = last, row["count"] + len(alerts)
        seen = self._identifiers[class_]
        if len(seen) < MOST_IDENTIFIERS:
            seen.update(np.unique(alerts.frames.identifier).tolist())
        row["identifiers"] = min(len(seen), MOST_IDENTIFIERS)
        best = int(alerts.score.argmax())
        if row["score"] is None or alerts.score[best] > row["score"]:
            row |= _frame_of(alerts, best)

    def _new_row(self, class_: int, first: float) -> dict[str, Any]:
        self._number += 1
        row: dict[str, Any] = {
            "number": self._number,
            "class": self._names[class_],
            "first": first,
            "count": 0,
            "score": None,
        }
        self._open[class_], self._identifiers[class_] = row, set()
        self._rows.appendleft(row)
        return row

    def rows(self) -> list[dict[str, Any]]:
        """Newest first."""
        return [dict(row) for row in self._rows]


def _frame_of(alerts: Verdicts, row: int) -> dict[str, Any]:
    """The clearest frame of a burst."""
    frames = alerts.frames
    digits = 8 if frames.extended[row] else 3
    return {
        "identifier": f"{int(frames.identifier[row]):0{digits}x}",
        "data": frames.data[row, : int(frames.dlc[row])].tobytes().hex(" "),
        "score": int(alerts.score[row]),
    }
