"""Training views of pictures: scaled, cut, mirrored, coloured, and four to a canvas now and then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.detector.boxes import GREY
from models.detector.metrics import Truth
from models.detector.pictures import Picture, PictureSet

__all__ = ["Augmentation", "Batch", "batch_of"]

#: An object of which less than this share is left in view is not asked for.
LEAST_VISIBLE = 0.35


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How pictures are disturbed; `scales` are the longest side over the canvas's side."""

    sides: tuple[int, ...] = (320,)
    scales: tuple[float, float] = (0.6, 1.5)
    mosaic: float = 0.3  #: share of canvases that show four pictures
    brightness: float = 0.3
    contrast: float = 0.3


@dataclass(frozen=True)
class Batch:
    """Canvases (batch, side, side, 3) and the objects on each."""

    canvases: np.ndarray
    truths: tuple[Truth, ...]


def batch_of(pictures: PictureSet, options: Augmentation, *, size: int, seed: int, step: int) -> Batch:
    """The batch of a step: it depends on nothing but seed and step, so a resumed run sees the same."""
    random = np.random.default_rng((seed, step))
    side = int(random.choice(options.sides))
    views = [_canvas(pictures, options, side, random) for _ in range(size)]
    return Batch(np.stack([pixels for pixels, _ in views]), tuple(truth for _, truth in views))


def _canvas(
    pictures: PictureSet, options: Augmentation, side: int, random: np.random.Generator
) -> tuple[np.ndarray, Truth]:
    def drawn() -> Picture:
        return pictures[int(random.integers(len(pictures)))]

    if random.random() >= options.mosaic:
        return _view(drawn(), (side, side), options, random)
    canvas = np.full((side, side, 3), GREY, np.uint8)
    across, down = (int(side * random.uniform(0.35, 0.65)) for _ in range(2))
    truths = []
    for left, width in ((0, across), (across, side - across)):
        for top, height in ((0, down), (down, side - down)):
            pixels, truth = _view(drawn(), (height, width), options, random)
            canvas[top : top + height, left : left + width] = pixels
            truths.append(
                Truth(truth.boxes + np.array([left, top, left, top]), truth.classes, truth.difficult)
            )
    joined = [
        np.concatenate([getattr(one, name) for one in truths]) for name in ("boxes", "classes", "difficult")
    ]
    return canvas, Truth(*joined)


def _view(
    picture: Picture, size: tuple[int, int], options: Augmentation, random: np.random.Generator
) -> tuple[np.ndarray, Truth]:
    """One picture at a random scale, mirrored or not, at a random place of a canvas of (height, width)."""
    import cv2

    pixels, boxes = picture.pixels, picture.truth.boxes
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
        boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (pixels.shape[1], 0, pixels.shape[1], 0)
    scale = random.uniform(*options.scales) * max(size) / max(pixels.shape[:2])
    stretch = np.sqrt(random.uniform(0.8, 1.25))
    factors = scale * stretch, scale / stretch
    shape = tuple(
        max(1, round(length * factor)) for length, factor in zip(pixels.shape[1::-1], factors, strict=True)
    )
    scaled = _coloured(cv2.resize(pixels, shape, interpolation=cv2.INTER_LINEAR), options, random)
    canvas = np.full((*size, 3), GREY, np.uint8)
    left, top = (_offset(room, length, random) for room, length in zip(size[::-1], shape, strict=True))
    seen = scaled[max(0, -top) : size[0] - top, max(0, -left) : size[1] - left]
    canvas[max(0, top) : max(0, top) + seen.shape[0], max(0, left) : max(0, left) + seen.shape[1]] = seen
    moved = boxes * (*factors, *factors) + (left, top, left, top)
    return canvas, _visible(moved, picture.truth, size)


def _offset(room: int, length: int, random: np.random.Generator) -> int:
    """Where a picture of `length` begins in `room`; a longer one begins outside."""
    return int(random.integers(min(0, room - length), max(0, room - length) + 1))


def _visible(boxes: np.ndarray, truth: Truth, size: tuple[int, int]) -> Truth:
    clipped = np.clip(boxes, 0, (size[1], size[0]) * 2)
    areas = [np.prod(one[:, 2:] - one[:, :2], axis=1) for one in (clipped, boxes)]
    kept = (areas[0] > LEAST_VISIBLE * areas[1]) & (areas[0] >= 16)
    return Truth(clipped[kept], truth.classes[kept], truth.difficult[kept])


def _coloured(pixels: np.ndarray, options: Augmentation, random: np.random.Generator) -> np.ndarray:
    contrast = 1 + random.uniform(-options.contrast, options.contrast)
    brightness = 128 * random.uniform(-options.brightness, options.brightness)
    tints = random.uniform(0.93, 1.07, 3)
    table = (np.arange(256)[:, None] - 128) * contrast * tints + 128 + brightness
    table = np.clip(table, 0, 255).astype(np.uint8)
    return np.stack([table[pixels[..., channel], channel] for channel in range(3)], axis=-1)
