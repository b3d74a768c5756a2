"""Pictures of a training and of an evaluation: learning curve, sheet of detections, Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot

from models.detector.boxes import Detections, letterbox

if TYPE_CHECKING:
    from models.detector.training import Check

__all__ = ["plot_curve", "plot_pareto", "write_sheet"]

#: Of a picture on the sheet.
TILE = 256


def plot_curve(curve: Sequence[Check], path: Path) -> None:
    """Held-out precision and loss over steps, the two stages apart."""
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for stage in ("float", "shift"):
        part = [one for one in curve if one.stage == stage]
        axes.plot(
            [one.step for one in part], [one.held_out_map for one in part], "o-", label=f"{stage} weights"
        )
    axes.set(xlabel="step", ylabel="mAP of held-out training pictures (%)")
    losses = axes.twinx()
    losses.plot([one.step for one in curve], [one.loss for one in curve], ":", color="grey")
    losses.set_ylabel("loss (dotted)")
    axes.legend(loc="lower right")
    _save(figure, path)


def plot_pareto(points: Sequence[tuple[str, float, float]], path: Path) -> None:
    """Label, lane-cycles and precision of each variant."""
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for label, cycles, precision in points:
        axes.plot(cycles / 1e6, precision, "o", color="tab:blue")
        axes.annotate(label, (cycles / 1e6, precision), textcoords="offset points", xytext=(4, 4), fontsize=7)
    axes.set(xlabel="million lane-cycles at 512x512", ylabel="mAP of held-out training pictures (%)")
    axes.grid(alpha=0.3)
    _save(figure, path)


def write_sheet(
    pictures: Sequence[np.ndarray], found: Sequence[Detections], classes: Sequence[str], path: Path
) -> None:
    """Detections above one half drawn into the pictures, four a row."""
    import cv2

    tiles = []
    for pixels, seen in zip(pictures, found, strict=True):
        tile, placement = letterbox(pixels, (TILE, TILE))
        for box, score, class_ in zip(seen.boxes, seen.scores, seen.classes, strict=True):
            if score >= 0.5:
                x0, y0, x1, y1 = (box * placement.scale).astype(int).tolist()
                cv2.rectangle(tile, (x0, y0), (x1, y1), (60, 220, 60), 1)
                label = f"{classes[class_]} {score:.2f}"
                cv2.putText(tile, label, (x0 + 2, y0 + 11), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (60, 220, 60), 1)
        tiles.append(tile)
    tiles += [np.zeros((TILE, TILE, 3), np.uint8)] * (-len(tiles) % 4)
    rows = [np.concatenate(tiles[start : start + 4], axis=1) for start in range(0, len(tiles), 4)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(rows))


def _save(figure: pyplot.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
