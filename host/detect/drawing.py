"""Boxes drawn into pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.detector.boxes import Detections

__all__ = ["colour_of", "draw"]


def colour_of(class_: int) -> tuple[int, int, int]:
    """Blue, green, red: classes next to each other get colours far apart."""
    import cv2

    hue = np.array([[[class_ * 67 % 180, 200, 255]]], np.uint8)
    blue, green, red = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def draw(
    pixels: np.ndarray, seen: Detections, classes: Sequence[str], *, least_score: float = 0.0
) -> np.ndarray:
    """A copy of the picture with boxes, classes and scores."""
    import cv2

    picture = pixels.copy()
    line = max(1, round(max(pixels.shape[:2]) / 400))
    size = 0.4 * line
    for box, score, class_ in zip(seen.boxes, seen.scores.tolist(), seen.classes.tolist(), strict=True):
        if score < least_score:
            continue
        left, top, right, bottom = (round(side) for side in box.tolist())
        colour = colour_of(class_)
        cv2.rectangle(picture, (left, top), (right, bottom), colour, line)
        label = f"{classes[class_]} {score:.2f}"
        (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, line)
        base = max(top, height + 4)
        cv2.rectangle(picture, (left, base - height - 4), (left + width + 2, base), colour, -1)
        cv2.putText(
            picture, label, (left + 1, base - 3), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), line, cv2.LINE_AA
        )
    return picture
