"""Runs a detector, whatever computes it, over pictures, and scores what it finds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.detector.boxes import OVERLAP, Detections, detect, letterbox, sorted_pixels
from models.detector.metrics import Precision, mean_average_precision
from models.detector.pictures import PictureSet

if TYPE_CHECKING:
    from models.detector.network import Network

__all__ = ["LEAST_SCORE", "Judged", "judge", "network_runner"]

#: Precision over recall wants the unlikely detections as well.
LEAST_SCORE = 0.005

#: Pixels (batch, 12, height / 2, width / 2) of uint8 to real-valued maps, finest first.
Runner = Callable[[np.ndarray], tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Judged:
    """Precision of a model under three metrics; `seconds` a picture for computing the maps."""

    voc07: Precision
    voc12: Precision
    coco: Precision | None
    found: list[Detections]
    seconds: float


def judge(
    pictures: PictureSet,
    runner: Runner,
    size: tuple[int, int],
    *,
    classes: int,
    overlap: float = OVERLAP,
    coco: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> Judged:
    """`size` is the canvas's (height, width), multiples of 32."""
    if any(side % 32 for side in size):
        raise ValueError(f"the sides of the input must be multiples of 32, not {size!r}")
    found, truths, seconds = [], [], 0.0
    for index in range(len(pictures)):
        picture = pictures[index]
        canvas, placement = letterbox(picture.pixels, size)
        pixels = sorted_pixels(canvas)[None]
        began = time.perf_counter()
        maps = runner(pixels)
        seconds += time.perf_counter() - began
        shape = picture.pixels.shape[0], picture.pixels.shape[1]
        first = tuple(one[0] for one in maps)
        found.append(detect(first, placement, shape, least_score=LEAST_SCORE, overlap=overlap))
        truths.append(picture.truth)
        report(index + 1)
    voc07, voc12 = (
        mean_average_precision(found, truths, classes=classes, metric=metric) for metric in ("voc07", "voc12")
    )
    whole = mean_average_precision(found, truths, classes=classes, metric="coco") if coco else None
    return Judged(voc07, voc12, whole, found, seconds / max(1, len(pictures)))


def network_runner(network: Network) -> Runner:
    """Of a torch network, float or quantised as it stands."""
    import torch

    def run(pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.no_grad():
            return tuple(one.numpy() for one in network(torch.from_numpy(pixels).float()))

    return run
