"""Confusion matrices, and the figures made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.can_ids.frames import Attack
from models.can_ids.scores import FRAMES_PER_SECOND

__all__ = ["ClassFigures", "Confusion", "area_under_roc", "roc"]


@dataclass(frozen=True)
class ClassFigures:
    precision: float
    recall: float
    f1: float
    support: int  #: rows that are of the class


@dataclass(frozen=True)
class Confusion:
    """Counts, rows by what is true and columns by the verdict, both in the order of `Attack`."""

    counts: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, verdicts: np.ndarray, classes: int = len(Attack)) -> Confusion:
        pairs = truth.astype(np.int64) * classes + verdicts.astype(np.int64)
        return cls(np.bincount(pairs, minlength=classes * classes).reshape(classes, classes))

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.counts + other.counts)

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def benign(self) -> int:
        return int(self.counts[Attack.BENIGN].sum())

    @property
    def wrong(self) -> int:
        return self.rows - int(np.trace(self.counts))

    @property
    def accuracy(self) -> float:
        return 1 - self.wrong / self.rows if self.rows else float("nan")

    @property
    def false_positives(self) -> int:
        return self.benign - int(self.counts[Attack.BENIGN, Attack.BENIGN])

    @property
    def false_positive_rate(self) -> float:
        return self.false_positives / self.benign if self.benign else float("nan")

    @property
    def false_alarms_per_hour(self) -> float:
        return self.false_positive_rate * FRAMES_PER_SECOND * 3600

    @property
    def detection_rate(self) -> float:
        """Share of attack rows that get any attack class: naming the wrong attack is still an alarm."""
        attacked = self.counts[Attack.BENIGN + 1 :]
        return (
            1 - float(attacked[:, Attack.BENIGN].sum() / attacked.sum()) if attacked.sum() else float("nan")
        )

    def of_class(self, attack: Attack) -> ClassFigures:
        hits = int(self.counts[attack, attack])
        support, named = int(self.counts[attack].sum()), int(self.counts[:, attack].sum())
        return ClassFigures(
            precision=hits / named if named else float("nan"),
            recall=hits / support if support else float("nan"),
            f1=2 * hits / (named + support) if named + support else float("nan"),
            support=support,
        )

    def attacks(self) -> list[Attack]:
        """The attack classes that occur."""
        return [attack for attack in Attack if attack != Attack.BENIGN and self.counts[attack].any()]

    def f1_min(self) -> float:
        """The worst F1 of the attacks that occur."""
        return min((self.of_class(attack).f1 for attack in self.attacks()), default=float("nan"))


def roc(margin: np.ndarray, attacked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False-positive and detection rates at every threshold, from the strictest on."""
    levels = np.unique(margin)[::-1]
    benign, attack = np.sort(margin[~attacked]), np.sort(margin[attacked])
    false_alarms = 1 - np.searchsorted(benign, levels) / max(1, len(benign))
    detections = 1 - np.searchsorted(attack, levels) / max(1, len(attack))
    return np.concatenate([[0.0], false_alarms]), np.concatenate([[0.0], detections])


def area_under_roc(margin: np.ndarray, attacked: np.ndarray) -> float:
    false_alarms, detections = roc(margin, attacked)
    return float(((detections[1:] + detections[:-1]) / 2 * np.diff(false_alarms)).sum())
