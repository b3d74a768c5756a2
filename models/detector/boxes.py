"""Pictures into the detector and boxes out of it, in numpy: shared by training, evaluation and the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.detector.topology import STRIDES

__all__ = [
    "BOX_STEP",
    "KEPT",
    "MOST",
    "OVERLAP",
    "Detections",
    "Placement",
    "decode",
    "detect",
    "letterbox",
    "overlaps",
    "sorted_pixels",
    "suppress",
]

#: The grey that YOLOX was trained with around pictures.
GREY = 114
#: Box predictions are doubled in the maps.
BOX_STEP = 0.5
#: No box is wider than e^4 cells; a larger prediction would overflow float32.
LARGEST_LOG = 8.0
#: Of a picture: so many candidates, the best ones, are looked at, and so many boxes kept.
MOST, KEPT = 1000, 100
#: A box that overlaps a better one of its class by more than this is the same object. Chosen by pictures held
#: out of the train split (`colonnade evaluate detector --sensitivity`).
OVERLAP = 0.45


class Placement(NamedTuple):
    """Where a picture lies on the canvas: canvas = scale * picture + (left, top)."""

    scale: float
    left: int
    top: int


@dataclass(frozen=True)
class Detections:
    """Boxes (rows of x0, y0, x1, y1 in pixels), scores 0..1 and classes, best first."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, rows: np.ndarray | slice) -> Detections:
        return Detections(self.boxes[rows], self.scores[rows], self.classes[rows])


def letterbox(picture: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, Placement]:
    """The whole picture (height, width, 3) as large as fits at the top left of a grey canvas."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    canvas = np.full((*size, 3), GREY, np.uint8)
    shape = min(size[1], max(1, round(width * scale))), min(size[0], max(1, round(height * scale)))
    canvas[: shape[1], : shape[0]] = cv2.resize(picture, shape, interpolation=cv2.INTER_LINEAR)
    return canvas, Placement(scale, 0, 0)


def sorted_pixels(canvas: np.ndarray) -> np.ndarray:
    """(..., height, width, 3) as (..., 12, height / 2, width / 2): each 2x2 block becomes twelve channels.

    In the order that YOLOX's first layer expects: upper left, lower left, upper right, lower right.
    """
    if canvas.shape[-3] % 2 or canvas.shape[-2] % 2:
        raise ValueError(f"the canvas must have even sides, not {canvas.shape[-3:-1]!r}; use letterbox()")
    corners = [canvas[..., row::2, column::2, :] for column in (0, 1) for row in (0, 1)]
    return np.ascontiguousarray(np.moveaxis(np.concatenate(corners, axis=-1), -1, -3))


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of `one` with every box of `other`."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def decode(maps: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (cells, 4) in canvas pixels and scores (cells, classes) of one picture's maps, finest first."""
    boxes, scores = [], []
    for stride, values in zip(STRIDES, maps, strict=True):
        rows, columns = np.indices(values.shape[1:])
        cells = values.reshape(len(values), -1).astype(np.float64)
        centre = (cells[:2] * BOX_STEP + np.stack([columns.ravel(), rows.ravel()])) * stride
        half = np.exp(np.minimum(cells[2:4] * BOX_STEP, LARGEST_LOG)) * (stride / 2)
        boxes.append(np.concatenate([centre - half, centre + half]).T)
        scores.append((_sigmoid(cells[4]) * _sigmoid(cells[5:])).T)
    return np.concatenate(boxes), np.concatenate(scores)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def suppress(found: Detections, *, threshold: float) -> np.ndarray:
    """Rows that survive: of each class the best, then what overlaps no better one by over `threshold`."""
    if not len(found):
        return np.zeros(0, int)
    # Classes that lie apart never overlap: one pass serves all.
    apart = found.classes[:, None] * (np.abs(found.boxes).max() * 2 + 1)
    order = np.argsort(-found.scores, kind="stable")
    boxes = (found.boxes + apart)[order]
    clash = overlaps(boxes, boxes) > threshold
    kept = np.ones(len(order), bool)
    for row in range(len(order)):
        if kept[row]:
            kept[row + 1 :] &= ~clash[row, row + 1 :]
    return order[kept]


def detect(
    maps: tuple[np.ndarray, ...],
    placement: Placement,
    shape: tuple[int, int],
    *,
    least_score: float = 0.3,
    overlap: float = OVERLAP,
) -> Detections:
    """What these maps see in a picture of (height, width) `shape`, in the picture's own pixels."""
    boxes, scores = decode(maps)
    rows, classes = np.nonzero(scores >= least_score)
    values = scores[rows, classes]
    best = np.argsort(-values, kind="stable")[:MOST]
    boxes = (boxes[rows[best]] - np.tile([placement.left, placement.top], 2)) / placement.scale
    boxes = np.clip(boxes, 0, np.tile([shape[1], shape[0]], 2))
    found = Detections(boxes, values[best], classes[best])
    return found[suppress(found, threshold=overlap)[:KEPT]]
