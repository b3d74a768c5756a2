"""Pictures of an evaluation: confusion matrices and receiver operating curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot

from models.can_ids.frames import Attack
from models.can_ids.metrics import Confusion, area_under_roc, roc

__all__ = ["plot_confusion", "plot_pareto", "plot_roc"]

#: Rates below this are drawn at it: a logarithmic axis has no zero.
LOWEST_RATE = 1e-6


def plot_confusion(confusion: Confusion, classes: Sequence[Attack], title: str, path: Path) -> None:
    """Counts, shaded by their share of the true class."""
    counts = confusion.counts[: len(classes), : len(classes)]
    share = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    names = [attack.name.lower().replace("_", " ") for attack in classes]
    figure, axes = pyplot.subplots(figsize=(5, 4.4))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", color=shade, fontsize=9)
    axes.set_xticks(range(len(names)), names, rotation=20)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="verdict", ylabel="truth", title=title)
    _save(figure, path)


def plot_roc(curves: Sequence[tuple[str, np.ndarray, np.ndarray]], path: Path) -> None:
    """`curves` are name, margins and which rows are attacks."""
    figure, axes = pyplot.subplots(figsize=(5.5, 4.4))
    for name, margin, attacked in curves:
        false_alarms, detections = roc(margin, attacked)
        label = f"{name} (area {area_under_roc(margin, attacked):.6f})"
        axes.step(np.maximum(false_alarms, LOWEST_RATE), 1 - detections, where="post", label=label)
    axes.set(xscale="log", yscale="symlog", xlabel="false-positive rate", ylabel="share of attacks missed")
    axes.set_yscale("symlog", linthresh=1e-4)
    axes.set_ylim(0, 1)
    axes.set_xlim(LOWEST_RATE, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def plot_pareto(points: Sequence[tuple[float, float, str]], front: Sequence[int], path: Path) -> None:
    """`points` are look-up tables, error and encoding; `front` the places of the best ones."""
    figure, axes = pyplot.subplots(figsize=(6, 4.4))
    for kind in sorted({kind for _, _, kind in points}):
        own = [(luts, error) for luts, error, of_kind in points if of_kind == kind]
        axes.scatter([luts for luts, _ in own], [error for _, error in own], s=14, alpha=0.6, label=kind)
    best = sorted((points[place][0], points[place][1]) for place in front)
    axes.step(*zip(*best, strict=True), where="post", color="black", linewidth=1, label="Pareto front")
    axes.set(
        xscale="log", xlabel="modelled LUT, unrolled", ylabel="share of validation windows judged wrongly"
    )
    axes.set_yscale("symlog", linthresh=1e-4)
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def _save(figure: pyplot.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
