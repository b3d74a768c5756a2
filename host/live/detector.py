"""What the page says of the detector: the last picture with boxes, times of stages, the engine's layers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from host.detect.frames import FrameEvent

__all__ = ["DetectorMonitor", "layer_rows"]

#: Frames that rates and times are averaged over.
RECENT_FRAMES = 60
RECENT_S = 5.0
LISTED = 8


class DetectorMonitor:
    """An observer that costs the pipeline an append a frame; pictures are encoded in the page's thread.

    `progress` says in words how far an engine is with a picture, where one takes long; any thread may ask.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, progress: Callable[[], str] = lambda: ""
    ):
        self._progress = progress
        self._layers: dict[str, Any] | None = None
        self._clock = clock
        self._lock = threading.Lock()
        self._last: FrameEvent | None = None
        self._pictured: FrameEvent | None = None
        self._ended: dict[str, float] = {}  # by stage, of the last frame
        self._frames = 0
        self._recent: deque[tuple[float, dict[str, float]]] = deque(maxlen=RECENT_FRAMES)

    def take(self, event: FrameEvent) -> None:
        """One frame that is done; called by the pipeline."""
        now, times = self._clock(), self._added(event)
        with self._lock:
            self._last = event
            self._frames += 1
            self._recent.append((now, times))

    def _added(self, event: FrameEvent) -> dict[str, float]:
        """Milliseconds that the frame added to each stage: an engine may hold more than one."""
        times = {}
        for stage, (began, ended) in event.spans.items():
            times[stage] = 1000 * (ended - max(began, self._ended.get(stage, began)))
            self._ended[stage] = ended
        return times

    def show_layers(self, rows: Sequence[Mapping[str, Any]], origin: str) -> None:
        """What `layer_rows` gives, and a sentence about where it is from."""
        self._layers = {"rows": [dict(row) for row in rows], "origin": origin}

    def layers(self) -> dict[str, Any] | None:
        """What was shown since the last call; None where nothing was."""
        layers, self._layers = self._layers, None
        return layers

    def snapshot(self) -> dict[str, Any]:
        with self._lock:
            last, recent, frames = self._last, list(self._recent), self._frames
        return {
            "frames": frames,
            "fps": round(_rate([moment for moment, _ in recent], self._clock()), 3),
            "stages": _stages([times for _, times in recent]),
            "dropped": last.dropped if last else 0,
            "latency_ms": round(last.latency_ms, 3) if last else None,
            "name": last.name if last else "",
            "progress": self._progress(),
            "detections": _listed(last) if last else [],
        }

    def picture(self) -> dict[str, Any] | None:
        """The last frame with its boxes as JPEG; None where no frame came since the last call."""
        with self._lock:
            last = self._last
        if last is None or last is self._pictured:
            return None
        self._pictured = last
        told = {key: value for key, value in last.as_dict().items() if key in ("frame", "width", "height")}
        return told | {"detections": _listed(last), "jpeg": last.jpeg(quality=75)}


def _listed(event: FrameEvent) -> list[dict[str, Any]]:
    found = event.as_dict()["detections"][:LISTED]
    return [{"class": one["class"], "score": round(one["score"], 3)} for one in found]


def _rate(moments: Sequence[float], now: float) -> float:
    """Over the last seconds, or over the last two frames where each takes about as long."""
    recent = [moment for moment in moments if moment >= now - RECENT_S]
    if len(recent) >= 2 and recent[-1] > recent[0]:
        return (len(recent) - 1) / (recent[-1] - recent[0])
    between = moments[-1] - moments[-2] if len(moments) >= 2 else 0.0
    return 1 / max(between, now - moments[-1]) if between > RECENT_S / 2 else 0.0


def _stages(times: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """Mean and worst of each stage in the order of the pipeline."""
    names = dict.fromkeys(name for each in times for name in each)
    rows = []
    for name in names:
        spent = [each[name] for each in times if name in each]
        rows.append(
            {"name": name, "mean_ms": round(sum(spent) / len(spent), 3), "most_ms": round(max(spent), 3)}
        )
    return rows


def layer_rows(
    layers: Sequence[Mapping[str, Any]], *, lanes: int, beat_bytes: int = 16
) -> list[dict[str, Any]]:
    """Lane use and traffic by layer, of a compiled binary's header or of a profile.

    Layers that took no cycle are left out. `beat_bytes` is how wide the engine's bus is, in a profile.
    """
    rows = []
    for layer in layers:
        cycles, macs = int(layer["cycles"]), int(layer["macs"])
        if cycles <= 0:
            continue
        moved = {}
        for way in ("read", "write"):
            counted = layer.get(f"{way}_bytes")
            moved[way] = int(layer[f"{way}_beats"]) * beat_bytes if counted is None else int(counted)
        rows.append(
            {
                "name": str(layer["name"]),
                "cycles": cycles,
                "macs": macs,
                "lane_use": round(macs / (lanes * cycles), 4),
                "read_bytes": moved["read"],
                "write_bytes": moved["write"],
            }
        )
    return rows
