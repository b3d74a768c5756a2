"""Mean average precision of what comes out of the pipeline."""

from __future__ import annotations

from host.detect.faces import SinkError
from host.detect.frames import FrameEvent
from models.detector.boxes import Detections
from models.detector.metrics import Precision, Truth, mean_average_precision

__all__ = ["JudgeSink"]


class JudgeSink:
    """Collects boxes and truths; wants scores from `models.detector.judging.LEAST_SCORE` on."""

    wants_picture = False

    def __init__(self, classes: int):
        self._classes = classes
        self._found: list[Detections] = []
        self._truths: list[Truth] = []

    def take(self, event: FrameEvent) -> None:
        if event.truth is None:
            raise SinkError(f"nothing is known of the objects in {event.name!r}; judge --source voc instead")
        self._found.append(event.detections)
        self._truths.append(event.truth)

    def close(self) -> list[str]:
        return []

    @property
    def found(self) -> list[Detections]:
        return self._found

    def precision(self, metric: str = "voc07") -> Precision:
        """Of all frames until now."""
        return mean_average_precision(self._found, self._truths, classes=self._classes, metric=metric)
