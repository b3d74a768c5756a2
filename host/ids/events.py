"""Security events in the spirit of AUTOSAR's intrusion detection system manager.

An alert is a frame; an event is what a security centre can read. As there, a filter chain stands between the
two: alerts of one class within a window become one event with a count, and no more than a number of events
pass in an interval. What is held back is counted by class and said with the next event that passes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from host.ids.line_file import LineFile
from host.ids.records import Verdicts
from models.can_ids.frames import Attack

__all__ = ["EventFilter", "EventRules", "EventSink", "SecurityEvent"]

#: AUTOSAR leaves 0x8000 and above to the manufacturer; the class is added to it.
FIRST_EVENT_ID = 0x8000


@dataclass(frozen=True, kw_only=True)
class EventRules:
    """How alerts become events."""

    window_s: float = 1.0  #: alerts of a class from the first on that are one event
    limit: int = 10  #: events of all classes ...
    interval_s: float = 60.0  #: ... that pass in this time
    sensor: int = 1  #: which instance of the detector says so

    def __post_init__(self) -> None:
        if self.window_s <= 0 or self.interval_s <= 0 or self.limit < 1:
            raise ValueError(
                f"events need a window and an interval above 0 and a limit of at least 1, not {self!r}"
            )


@dataclass
class SecurityEvent:
    """One qualified event. The context is the frame of the highest score among those it stands for."""

    event_id: int
    sensor: int
    name: str
    count: int
    first: float
    last: float
    context: dict[str, object]
    suppressed: int = 0  #: alerts of this class that no event before told of

    def as_json(self) -> str:
        return json.dumps(vars(self) | {"event_id": f"0x{self.event_id:04X}"}) + "\n"


@dataclass
class EventFilter:
    """Feed it verdicts; take events out. Time is that of the frames, in their order."""

    classes: Sequence[Attack]
    rules: EventRules = field(default_factory=EventRules)
    suppressed: dict[str, int] = field(default_factory=dict)  #: alerts never told of, by class

    def __post_init__(self) -> None:
        self._open: dict[int, SecurityEvent] = {}  # by class, until its window ends
        self._passed: list[float] = []  # when the last events passed
        self._now = float("-inf")

    def feed(self, verdicts: Verdicts) -> Iterator[SecurityEvent]:
        """Events that are complete by the end of these verdicts, oldest first."""
        times = self._times(verdicts)
        ready: list[SecurityEvent] = []
        alerts = np.flatnonzero(verdicts.alert)
        for index in np.unique(verdicts.verdict[alerts]).tolist():
            rows = alerts[verdicts.verdict[alerts] == index]
            ready += self._aggregate(index, verdicts[rows], times[rows])
        for index, event in list(self._open.items()):
            if self._now - event.first >= self.rules.window_s:
                ready.append(self._open.pop(index))
        yield from self._limited(ready)

    def flush(self) -> Iterator[SecurityEvent]:
        """Events whose window the end of the run cuts short."""
        ready = list(self._open.values())
        self._open.clear()
        yield from self._limited(ready)

    def _times(self, verdicts: Verdicts) -> np.ndarray:
        """Time stamps that never fall; frames without one happen when the frame before did."""
        stamps = verdicts.frames.timestamp
        start = self._now if np.isfinite(self._now) else 0.0
        known = np.where(np.isfinite(stamps), stamps, -np.inf)
        times = np.maximum(np.maximum.accumulate(known, dtype=float), start)
        if len(times):
            self._now = float(times[-1])
        return times

    def _aggregate(self, index: int, alerts: Verdicts, times: np.ndarray) -> Iterator[SecurityEvent]:
        at = 0
        while at < len(times):
            event = self._open.get(index)
            if event is not None and times[at] - event.first >= self.rules.window_s:
                yield self._open.pop(index)
                event = None
            start = float(times[at]) if event is None else event.first
            end = max(at + 1, int(np.searchsorted(times, start + self.rules.window_s)))
            self._open[index] = self._merged(event, index, alerts[at:end], times[at:end])
            at = end

    def _merged(
        self, event: SecurityEvent | None, index: int, alerts: Verdicts, times: np.ndarray
    ) -> SecurityEvent:
        best = int(alerts.score.argmax())
        context = _context(alerts, best, float(times[best]))
        if event is None:
            return SecurityEvent(
                event_id=FIRST_EVENT_ID + index,
                sensor=self.rules.sensor,
                name=f"CAN_{self.classes[index].name}",
                count=len(times),
                first=float(times[0]),
                last=float(times[-1]),
                context=context,
            )
        if context["score"] > event.context["score"]:  # type: ignore[operator]
            event.context = context
        event.count += len(times)
        event.last = float(times[-1])
        return event

    def _limited(self, events: list[SecurityEvent]) -> Iterator[SecurityEvent]:
        for event in sorted(events, key=lambda one: one.first):
            since = event.first - self.rules.interval_s
            self._passed = [moment for moment in self._passed if moment > since]
            if len(self._passed) >= self.rules.limit:
                self.suppressed[event.name] = self.suppressed.get(event.name, 0) + event.count
                continue
            self._passed.append(event.first)
            event.suppressed = self.suppressed.pop(event.name, 0)
            yield event


def _context(alerts: Verdicts, row: int, moment: float) -> dict[str, object]:
    frames = alerts.frames
    octets = int(frames.dlc[row])
    return {
        "identifier": f"{int(frames.identifier[row]):03x}",
        "dlc": octets,
        "data": frames.data[row, :octets].tobytes().hex(),
        "timestamp": moment,
        "score": int(alerts.score[row]),
        "sequence": int(alerts.sequence[row]),
        "killed": bool(alerts.killed[row]),
    }


class EventSink:
    """Events as JSON lines."""

    def __init__(self, path: Path, classes: Sequence[Attack], rules: EventRules | None = None):
        self._file = LineFile(path)
        self._filter = EventFilter(classes, rules or EventRules())
        self._events = self._alerts = 0

    def take(self, verdicts: Verdicts) -> None:
        self._write(self._filter.feed(verdicts))

    def _write(self, events: Iterator[SecurityEvent]) -> None:
        for event in events:
            self._file.append(event.as_json())
            self._events += 1
            self._alerts += event.count

    def close(self) -> list[str]:
        try:
            self._write(self._filter.flush())
        finally:
            self._file.close()
        lines = [f"{self._file.path}: {self._events:,} events of {self._alerts:,} alerts"]
        lines += [
            f"{count:,} alerts of {name} held back by the rate limit and never told"
            for name, count in self._filter.suppressed.items()
        ]
        return lines
