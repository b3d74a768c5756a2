"""Looks at both systems a few times a second and publishes what it sees."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from host.live.can import CanMonitor
from host.live.detector import DetectorMonitor
from host.live.hub import Hub
from host.live.rails import PowerMonitor

__all__ = ["LiveView"]

#: Between two looks: short enough that an alert is seen well within a second.
LOOK_S = 0.2


class LiveView:
    """`with LiveView(hub) as view:` publishes a `state` at every look, and new `picture` and `layers`.

    All work of the page is done in its thread, for all clients at once.
    """

    def __init__(self, hub: Hub, *, power: PowerMonitor | None = None, look_s: float = LOOK_S):
        self._hub = hub
        self._can: CanMonitor | None = None
        self._detector: DetectorMonitor | None = None
        self._power = power
        self._facts: dict[str, str] = {}
        self._look_s = look_s
        self._notes: list[str] = []
        self._started = time.monotonic()
        self._stopped = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)

    def __enter__(self) -> LiveView:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        if self._failed is not None:
            raise RuntimeError("the live page stopped looking at the systems") from self._failed

    def show_can(self, monitor: CanMonitor, facts: Mapping[str, str]) -> None:
        """What to look at, and what is to be known of it."""
        self._can = monitor
        self._facts |= facts

    def show_detector(self, monitor: DetectorMonitor, facts: Mapping[str, str]) -> None:
        self._detector = monitor
        self._facts |= facts

    @property
    def failed(self) -> bool:
        """Whether looking has failed; the end of the `with` block raises why."""
        return self._failed is not None

    def note(self, text: str) -> None:
        """Something that happened, for all who look: a source that ended, a board that failed."""
        self._notes.append(text)

    def look(self) -> None:
        """Publish what is to be seen now."""
        state = {
            "seconds": round(time.monotonic() - self._started, 2),
            "clients": self._hub.readers,
            "dropped_events": self._hub.dropped,
            "facts": self._facts,
            "notes": list(self._notes),
            "can": self._can.snapshot() if self._can else None,
            "detector": self._detector.snapshot() if self._detector else None,
            "power": self._power.snapshot() if self._power else None,
        }
        told: dict[str, Any] = {"state": state}
        if self._detector is not None:
            told |= {"layers": self._detector.layers(), "picture": self._picture(self._detector)}
        events = {kind: one for kind, one in told.items() if one is not None}
        self._hub.publish_together({kind: _json(one) for kind, one in events.items()})

    def _picture(self, detector: DetectorMonitor) -> dict[str, Any] | None:
        picture = detector.picture()
        return picture and picture | {"jpeg": base64.b64encode(picture["jpeg"]).decode()}

    def _run(self) -> None:
        """At a steady pace; a look that takes too long only delays the next one."""
        try:
            while not self._stopped.is_set():
                began = time.monotonic()
                self.look()
                self._stopped.wait(max(0.02, self._look_s - (time.monotonic() - began)))
        except Exception as error:
            self._failed = error


def _json(told: Mapping[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), allow_nan=False)
