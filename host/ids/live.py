"""What goes on, on the screen: rates, classes and the last alerts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from host.ids.records import UNJUDGED, Verdicts
from host.ids.sinks import class_name
from models.can_ids.frames import Attack

__all__ = ["LiveSink"]

LAST_ALERTS = 10


class LiveSink:
    """Redraws a few times a second, however many verdicts come."""

    def __init__(self, classes: Sequence[Attack], *, console: Console | None = None):
        self._classes = classes
        self._counts = np.zeros(UNJUDGED + 1, np.int64)
        self._alerts = np.zeros(UNJUDGED + 1, np.int64)
        self._last: deque[tuple[str, str, str, str, int]] = deque(maxlen=LAST_ALERTS)
        self._frames = 0
        self._started = time.monotonic()
        self._live = Live(
            console=console or Console(stderr=True), get_renderable=self._view, refresh_per_second=4
        )
        self._live.start()

    def take(self, verdicts: Verdicts) -> None:
        self._frames += len(verdicts)
        self._counts += np.bincount(verdicts.verdict, minlength=UNJUDGED + 1)
        rows = np.flatnonzero(verdicts.alert)
        self._alerts += np.bincount(verdicts.verdict[rows], minlength=UNJUDGED + 1)
        for row in rows[-LAST_ALERTS:].tolist():
            self._last.append(self._row(verdicts, row))

    def _row(self, verdicts: Verdicts, row: int) -> tuple[str, str, str, str, int]:
        frames = verdicts.frames
        payload = frames.data[row, : int(frames.dlc[row])].tobytes().hex(" ")
        return (
            f"{frames.timestamp[row]:.6f}",
            f"{int(frames.identifier[row]):03x}",
            payload,
            class_name(self._classes, int(verdicts.verdict[row])),
            int(verdicts.score[row]),
        )

    def _view(self) -> Group:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        counts = Table(
            "class", "frames", "alerts", title=f"{self._frames:,} frames, {self._frames / elapsed:,.0f}/s"
        )
        for index in (*range(len(self._classes)), UNJUDGED):
            counts.add_row(
                class_name(self._classes, index), f"{self._counts[index]:,}", f"{self._alerts[index]:,}"
            )
        if not self._last:
            return Group(counts, Text("no alert yet", style="dim"))
        alerts = Table("time", "identifier", "data", "class", "score", title="last alerts")
        for moment, identifier, payload, name, score in self._last:
            alerts.add_row(moment, identifier, payload, f"[red]{name}[/red]", str(score))
        return Group(counts, alerts)

    def close(self) -> list[str]:
        self._live.stop()
        return []
