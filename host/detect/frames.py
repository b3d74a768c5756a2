"""A frame on its way through the pipeline, and what observers and sinks get of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.detector.boxes import Detections, Placement
from models.detector.metrics import Truth

__all__ = ["STAGES", "Captured", "Frame", "FrameEvent", "Span"]

#: The stages in their order; each is one thread.
STAGES = ("capture", "letterbox", "quantise", "engine", "decode", "suppress", "draw", "record")

#: When a stage began and ended with a frame, in seconds since the pipeline's start.
Span = tuple[float, float]


@dataclass(frozen=True)
class Captured:
    """What a source gives: blue, green, red pixels of (height, width, 3), and the truth where it is known."""

    name: str
    pixels: np.ndarray
    truth: Truth | None = None


@dataclass
class Frame:
    """Between stages. A stage takes away what it has used up, so that a queue holds little."""

    index: int
    name: str
    pixels: np.ndarray
    truth: Truth | None = None
    spans: dict[str, Span] = field(default_factory=dict)
    placement: Placement | None = None
    work: Any = None  #: canvas, sorted pixels, maps or candidates: what the next stage needs
    detections: Detections | None = None
    drawn: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, kw_only=True)
class FrameEvent:
    """One frame that is done. It may be kept; it holds the pixels of its frame and nothing of others."""

    index: int  #: counted by the source from 0; a gap is a dropped frame
    name: str
    pixels: np.ndarray  #: as captured; do not write into them
    detections: Detections  #: boxes in these pixels, best first
    classes: tuple[str, ...]
    spans: dict[str, Span]  #: by stage; `record` is missing, for it is under way
    dropped: int  #: frames that the policy has dropped until now
    truth: Truth | None = None
    picture: np.ndarray | None = None  #: already drawn, where a sink wants pictures

    @property
    def stage_ms(self) -> dict[str, float]:
        return {stage: 1000 * (ended - began) for stage, (began, ended) in self.spans.items()}

    @property
    def latency_ms(self) -> float:
        """From the end of capture to the last stage, the time in queues included."""
        return 1000 * (max(ended for _, ended in self.spans.values()) - self.spans["capture"][1])

    def drawn(self, *, least_score: float = 0.0) -> np.ndarray:
        """The picture with its boxes, drawn now if it was not."""
        if self.picture is not None and not least_score:
            return self.picture
        from host.detect.drawing import draw

        return draw(self.pixels, self.detections, self.classes, least_score=least_score)

    def jpeg(self, *, quality: int = 80) -> bytes:
        """The drawn picture, encoded now: call it where the time may be spent, not in an observer."""
        import cv2

        good, encoded = cv2.imencode(".jpg", self.drawn(), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not good:
            raise ValueError(f"frame {self.index}: OpenCV cannot encode a picture of {self.pixels.shape!r}")
        return encoded.tobytes()

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything but pixels."""
        seen = self.detections
        return {
            "frame": self.index,
            "name": self.name,
            "height": self.pixels.shape[0],
            "width": self.pixels.shape[1],
            "detections": [
                {"class": self.classes[class_], "score": score, "box": box}
                for box, score, class_ in zip(
                    seen.boxes.tolist(), seen.scores.tolist(), seen.classes.tolist(), strict=True
                )
            ],
            "stage_ms": {stage: round(spent, 4) for stage, spent in self.stage_ms.items()},
            "latency_ms": round(self.latency_ms, 4),
            "dropped": self.dropped,
        }
