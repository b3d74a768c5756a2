"""Layers of few channels: several pixels of a row lie side by side in a word, and input lanes take taps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw.tile.preset import Preset

__all__ = ["Fold", "folded", "folding_of"]


@dataclass(frozen=True)
class Fold:
    """What the words of a row hold, and how many of them a kernel's row takes."""

    code: int  #: in the instruction; 0 for a pixel a word
    bytes: int  #: of each pixel
    pixels: int  #: of a word
    words: int  #: of a kernel's row

    @property
    def span(self) -> int:
        """Columns from the first word of a kernel's row to behind the last; a word begins at each."""
        return (self.words - 1) * self.pixels + 1

    @property
    def reach(self) -> int:
        """Pixels that these words hold: those of the kernel, and some without weight."""
        return self.words * self.pixels


def folding_of(digits: np.ndarray | None, kernel: tuple[int, int], planes: int, preset: Preset) -> Fold:
    """The fold whose sums take the fewest cycles, and whose rows the fewest pixels; none where it saves none.

    `digits` are (digits, outputs, lanes of the source, kernel height, width), or None for a maximum.
    """
    height, width = kernel
    none = Fold(0, preset.channels, 1, width)
    if digits is None or planes != 1:
        return none
    seen = np.flatnonzero(digits.any(axis=(0, 1, 3, 4)))
    channels = int(seen[-1]) + 1 if len(seen) else 1
    folds = [none]
    for code, size in enumerate(preset.fold_bytes, start=1):
        pixels = preset.channels // size
        if size >= channels:
            folds.append(Fold(code, size, pixels, -(-width // pixels)))

    def cost(fold: Fold) -> tuple[int, int]:
        return max(len(digits) * height * fold.words, preset.pixels), fold.reach

    return min(folds, key=cost)


def folded(digits: np.ndarray, fold: Fold, lanes: int) -> np.ndarray:
    """Digits of a kernel one word wide whose blocks are the words of the kernel's row, left to right."""
    count, outputs, _, height, width = digits.shape
    pixels = np.zeros((count, outputs, fold.bytes, height, fold.reach), np.int64)
    pixels[..., :width] = digits[:, :, : fold.bytes]
    by_word = pixels.reshape(count, outputs, fold.bytes, height, fold.words, fold.pixels)
    words = np.zeros((count, outputs, fold.words, lanes, height, 1), np.int64)
    used = fold.pixels * fold.bytes
    words[:, :, :, :used, :, 0] = by_word.transpose(0, 1, 4, 5, 2, 3).reshape(
        count, outputs, fold.words, used, height
    )
    return words.reshape(count, outputs, -1, height, 1)
