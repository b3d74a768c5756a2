"""Mean average precision as PASCAL VOC (2007 and 2012) and COCO define it, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.detector.boxes import Detections, overlaps

__all__ = ["COCO_OVERLAPS", "Precision", "Truth", "average_precision", "mean_average_precision"]

COCO_OVERLAPS = tuple(np.round(np.arange(0.5, 1.0, 0.05), 2))


@dataclass(frozen=True)
class Truth:
    """The objects of one picture; `difficult` ones neither count nor harm."""

    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray


@dataclass(frozen=True)
class Precision:
    """Average precision of each class in per cent, nan where no object of it was there; and their mean."""

    classes: np.ndarray

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.classes)) if not np.isnan(self.classes).all() else float("nan")


def mean_average_precision(
    found: Sequence[Detections],
    truths: Sequence[Truth],
    *,
    classes: int,
    metric: str = "voc07",
) -> Precision:
    """`metric` is "voc07" (11 points), "voc12" (all points) or "coco" (101 points, ten overlaps)."""
    if metric not in ("voc07", "voc12", "coco"):
        raise ValueError(f"metric must be 'voc07', 'voc12' or 'coco', not {metric!r}")
    if len(found) != len(truths):
        raise ValueError(f"there are detections of {len(found)} pictures, and truths of {len(truths)}")
    levels = COCO_OVERLAPS if metric == "coco" else (0.5,)
    values = [
        np.mean([average_precision(*_judged(found, truths, one, level), metric=metric) for level in levels])
        for one in range(classes)
    ]
    return Precision(100 * np.array(values))


def _judged(
    found: Sequence[Detections], truths: Sequence[Truth], class_: int, least_overlap: float
) -> tuple[np.ndarray, int]:
    """Whether each detection of the class is right, best score first; and how many objects there are."""
    scores, rights, objects = [], [], 0
    for seen, truth in zip(found, truths, strict=True):
        mine = truth.classes == class_
        objects += int((mine & ~truth.difficult).sum())
        own = seen[seen.classes == class_]
        if not len(own):
            continue
        order = np.argsort(-own.scores, kind="stable")
        right, counts = _matched(own[order], truth.boxes[mine], truth.difficult[mine], least_overlap)
        scores.append(own.scores[order][counts])
        rights.append(right[counts])
    if not scores:
        return np.zeros(0, bool), objects
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return np.concatenate(rights)[order], objects


def _matched(
    found: Detections, boxes: np.ndarray, difficult: np.ndarray, least_overlap: float
) -> tuple[np.ndarray, np.ndarray]:
    """VOC's rule: each detection, best first, claims the object it overlaps most; a second claim is wrong."""
    right, counts = np.zeros(len(found), bool), np.ones(len(found), bool)
    if not len(boxes):
        return right, counts
    common = overlaps(found.boxes, boxes)
    taken = np.zeros(len(boxes), bool)
    for row, place in enumerate(common.argmax(axis=1)):
        if common[row, place] < least_overlap:
            continue
        if difficult[place]:
            counts[row] = False
        elif not taken[place]:
            right[row] = taken[place] = True
    return right, counts


def average_precision(right: np.ndarray, objects: int, *, metric: str = "voc07") -> float:
    """The area under the curve of precision over recall, as the metric measures it."""
    if not objects:
        return float("nan")
    hits = np.cumsum(right)
    recall = hits / objects
    precision = hits / np.arange(1, len(right) + 1)
    # The best precision at this recall or beyond.
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if metric == "voc12":
        return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
    points = np.linspace(0, 1, 11 if metric == "voc07" else 101)
    # Recall is a quotient of integers: a tolerance keeps 0.3 reachable by 3 of 10.
    places = np.searchsorted(recall, points - 1e-12, side="left")
    return float(np.mean(np.append(envelope, 0.0)[np.minimum(places, len(envelope))]))
