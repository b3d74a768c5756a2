"""Integer maps to boxes: bit for bit what `models.detector.boxes.detect` finds, in a fraction of the time.

Cells are dismissed by their objectness alone, because no class can lift a score above it; exponentials are
taken of the few that remain. Suppression compares only what is kept with what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.detector.boxes import BOX_STEP, KEPT, LARGEST_LOG, MOST, OVERLAP, Detections, Placement
from models.detector.topology import STRIDES
from models.program import Output

__all__ = ["Candidates", "Decoder", "suppressed"]


class Candidates(NamedTuple):
    """Boxes on the canvas, best first, before suppression."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class _Level:
    """One output map: its grid, and what its objectness must reach."""

    def __init__(self, output: Output, stride: int, least_score: float):
        _, height, width = output.shape
        rows, columns = np.indices((height, width))
        self.output, self.stride = output, stride
        self.grid = np.stack([columns.ravel(), rows.ravel()])
        self.least_score = least_score

    def candidates(self, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and scores of the cells whose objectness may do."""
        flat = integers.reshape(len(integers), -1)
        presence = _sigmoid(self._real(flat, slice(4, 5))[0])
        cells = np.flatnonzero(presence >= self.least_score)
        values = self._real(np.ascontiguousarray(flat[:, cells]), slice(None))
        centre = (values[:2] * BOX_STEP + self.grid[:, cells]) * self.stride
        half = np.exp(np.minimum(values[2:4] * BOX_STEP, LARGEST_LOG)) * (self.stride / 2)
        return np.concatenate([centre - half, centre + half]).T, (presence[cells] * _sigmoid(values[5:])).T

    def _real(self, integers: np.ndarray, channels: slice) -> np.ndarray:
        scale, offset = self.output.scale, self.output.offset
        if scale.ndim:
            scale = scale[channels, None]
        if offset.ndim:
            offset = offset[channels, None]
        return integers[channels] * scale + offset


class Decoder:
    """Grids are made once for a size of the canvas."""

    def __init__(self, outputs: Sequence[Output], *, least_score: float):
        self._levels = [
            _Level(output, stride, least_score) for output, stride in zip(outputs, STRIDES, strict=True)
        ]
        self._least_score = least_score

    def candidates(self, maps: Sequence[np.ndarray]) -> Candidates:
        parts = [level.candidates(one) for level, one in zip(self._levels, maps, strict=True)]
        boxes, scores = (np.concatenate(each) for each in zip(*parts, strict=True))
        rows, classes = np.nonzero(scores >= self._least_score)
        values = scores[rows, classes]
        best = np.argsort(-values, kind="stable")[:MOST]
        return Candidates(boxes[rows[best]], values[best], classes[best])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def suppressed(
    found: Candidates, placement: Placement, shape: tuple[int, int], *, overlap: float = OVERLAP
) -> Detections:
    """In the pixels of a picture of (height, width) `shape`, without what overlaps a better one."""
    boxes = (found.boxes - np.tile([placement.left, placement.top], 2)) / placement.scale
    boxes = np.clip(boxes, 0, np.tile([shape[1], shape[0]], 2))
    kept = _survivors(boxes, found.classes, overlap)
    return Detections(boxes[kept], found.scores[kept], found.classes[kept])


def _survivors(boxes: np.ndarray, classes: np.ndarray, overlap: float) -> np.ndarray:
    """Rows, which come best first; the arithmetic is that of `boxes.suppress`, rounding included."""
    if not len(boxes):
        return np.zeros(0, int)
    apart = boxes + classes[:, None] * (np.abs(boxes).max() * 2 + 1)
    low, high = apart[:, :2], apart[:, 2:]
    sides = np.clip(high - low, 0, None)
    areas = sides[:, 0] * sides[:, 1]
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left) and len(kept) < KEPT:
        first, left = int(left[0]), left[1:]
        kept.append(first)
        common = np.clip(np.minimum(high[first], high[left]) - np.maximum(low[first], low[left]), 0, None)
        shared = common[:, 0] * common[:, 1]
        union = areas[first] + areas[left] - shared
        clash = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0) > overlap
        left = left[~clash]
    return np.array(kept)
