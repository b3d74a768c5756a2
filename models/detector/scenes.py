"""Generated pictures with known objects, for everything that must run without photographs.

Plain shapes on plain grounds: a smoke test of the pipeline, no measure of a detector of photographs.
"""

from __future__ import annotations

import numpy as np

from models.detector.metrics import Truth
from models.detector.pictures import Picture, PictureSet

__all__ = ["generated_scenes"]

#: Classes that the shapes stand in for: a bright disc, a dark box, a bright cross.
SHAPES = {6: "box", 14: "disc", 0: "cross"}
SIDE = 128


def generated_scenes(count: int, *, seed: int = 0) -> PictureSet:
    """`count` pictures of 96x128; the same seed gives the same pictures."""
    names = tuple(f"scene_{index:04d}" for index in range(count))

    def read(name: str) -> Picture:
        return _scene(name, np.random.default_rng((seed, int(name.split("_")[1]))))

    return PictureSet(f"{count} generated scenes", names, read)


def _scene(name: str, random: np.random.Generator) -> Picture:
    height, width = SIDE * 3 // 4, SIDE
    pixels = np.full((height, width, 3), random.integers(70, 150, 3), np.float64)
    pixels += random.normal(0, 8, pixels.shape)
    boxes, classes = [], []
    # One object a column of the picture, so that none hides another.
    for column in range(int(random.integers(1, 4))):
        class_ = int(random.choice(list(SHAPES)))
        w, h = random.uniform(18, 38), random.uniform(18, 60)
        left, top = column * 42 + random.uniform(1, 41 - w), random.uniform(1, height - h - 1)
        _draw(pixels, SHAPES[class_], (left, top, w, h), random)
        boxes.append((left, top, left + w, top + h))
        classes.append(class_)
    truth = Truth(np.array(boxes), np.array(classes), np.zeros(len(boxes), bool))
    return Picture(name, np.clip(pixels, 0, 255).astype(np.uint8), truth)


def _draw(
    pixels: np.ndarray, shape: str, place: tuple[float, float, float, float], random: np.random.Generator
) -> None:
    left, top, width, height = place
    rows, columns = np.indices(pixels.shape[:2])
    across, down = (columns + 0.5 - left) / width * 2 - 1, (rows + 0.5 - top) / height * 2 - 1
    inside = np.maximum(abs(across), abs(down)) <= 1
    if shape == "disc":
        inside = across**2 + down**2 <= 1
    elif shape == "cross":
        inside &= np.minimum(abs(across), abs(down)) <= 0.35
    colour = random.integers(0, 50, 3) if shape == "box" else random.integers(200, 255, 3)
    pixels[inside] = colour
