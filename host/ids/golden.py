"""A board without a board: the same verdicts in numpy, from the integer program of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from host.ids.board import AlertRule
from host.ids.records import UNJUDGED, Verdicts
from models.can_ids.features import is_judged
from models.can_ids.frames import Frames
from models.can_ids.scores import margins
from models.can_ids.zoo import CanModel

__all__ = ["GoldenBoard"]


class GoldenBoard:
    """What the overlay must say of every frame, without its time.

    A frame on which the model is not defined (29-bit, remote) is unjudged and stays out of the window. Frames
    from before the first one count as all zeros, as in the gateware.
    """

    def __init__(self, model: CanModel, rule: AlertRule):
        self._model = model
        self._rule = rule
        self.discard_window()
        self._sequence = 0
        self._counts = {"frames_accepted": 0, "frames_unjudged": 0}
        self._counts |= {f"class_{index}": 0 for index in range(len(model.classes))}

    @property
    def facts(self) -> dict[str, str]:
        return {
            "board": "none: the model in numpy, bit for bit what the overlay computes",
            "model": self._model.name,
        }

    @property
    def clock_hz(self) -> float | None:
        return None

    def discard_window(self) -> None:
        """Forget the frames before the next one."""
        self._before = Frames.zeros(self._model.encoding.window - 1)

    def replay(self, chunks: Iterable[Frames]) -> Iterator[Verdicts]:
        return map(self.judge, chunks)

    def judge(self, frames: Frames) -> Verdicts:
        defined = np.flatnonzero(is_judged(frames))
        history = Frames.concatenate([self._before, frames[defined]])
        logits = self._model.logits(history) if len(defined) else np.zeros((0, len(self._model.classes)), int)
        verdict = np.full(len(frames), UNJUDGED, np.uint8)
        score = np.zeros(len(frames), np.int32)
        verdict[defined] = logits.argmax(axis=1)  # the first of equals
        score[defined] = margins(logits)
        self._before = history[len(defined) :]
        sequence = np.arange(self._sequence, self._sequence + len(frames)).astype(np.uint32)
        self._sequence = self._sequence + len(frames) & 0xFFFF_FFFF
        self._count(verdict)
        enabled = np.isin(verdict, self._rule.classes)
        return Verdicts(
            frames=frames,
            verdict=verdict,
            alert=enabled & (score >= self._rule.threshold) & (verdict != UNJUDGED),
            score=score,
            cycle=np.zeros(len(frames), np.uint64),
            sequence=sequence,
            killed=np.zeros(len(frames), bool),
        )

    def _count(self, verdict: np.ndarray) -> None:
        self._counts["frames_accepted"] += len(verdict)
        self._counts["frames_unjudged"] += int((verdict == UNJUDGED).sum())
        for index, _ in enumerate(self._model.classes):
            self._counts[f"class_{index}"] += int((verdict == index).sum())

    def listen(self, bit_rate: float) -> Iterator[Verdicts]:
        raise ValueError(
            f"without a board there are no CAN pins to listen on at {bit_rate:g} bit/s; name a source "
            "such as can:socketcan:can0, or a board"
        )

    def counters(self) -> dict[str, int]:
        return dict(self._counts)

    def close(self) -> None:
        """Nothing is held."""
