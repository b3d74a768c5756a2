"""Layers whose outputs see one channel each: which of them the array takes by windows, and their weights."""

from __future__ import annotations

import numpy as np

from hw.arith.shift_lane import codes
from hw.tile.operands import TAPS, Operands
from hw.tile.preset import Preset

__all__ = ["is_windowed", "plane_of", "window_beats", "window_codes", "window_cycles"]


def plane_of(digits: np.ndarray, preset: Preset) -> int | None:
    """The plane in which each output sees only the channel of its own lane; None where others are seen.

    `digits` are (digits, outputs, lanes of the source, kernel height, width), of one group of outputs.
    """
    seen = digits.any(axis=(0, 3, 4)).reshape(digits.shape[1], -1, preset.channels)
    outputs, planes, lanes = np.nonzero(seen)
    if len(outputs) == 0:
        return 0
    return int(planes[0]) if (outputs == lanes).all() and (planes == planes[0]).all() else None


def is_windowed(digits: np.ndarray, stride: tuple[int, int], preset: Preset) -> bool:
    """Whether windows can take the layer, and faster than tap by tap."""
    count, outputs, _, height, width = digits.shape
    taps = height * width
    if taps > TAPS or stride[1] > width:
        return False
    groups = range(0, outputs, preset.channels)
    if any(plane_of(digits[:, start : start + preset.channels], preset) is None for start in groups):
        return False
    return window_cycles(count, (height, width), stride, preset)[1] < max(count * taps, preset.pixels)


def window_beats(count: int, kernel: tuple[int, int], preset: Preset) -> int:
    """Beats of a sum, and weight words, of `count` digits a weight."""
    return count * Operands.passes(kernel[0] * kernel[1], preset.channels)


def window_cycles(
    count: int, kernel: tuple[int, int], stride: tuple[int, int], preset: Preset
) -> tuple[int, int]:
    """Cycles of the first output column of a row, and of each other one.

    A word is read in each; so long, too, the window before is multiplied, and results leave.
    """
    least = max(window_beats(count, kernel, preset), preset.pixels)
    return max(kernel[0] * kernel[1], least), max(kernel[0] * stride[1], least)


def window_codes(digits: np.ndarray, plane: int, preset: Preset) -> np.ndarray:
    """Weight words (beat, output, input) of a group of outputs; input 0 sees the newest word of a window."""
    count, outputs, _, height, width = digits.shape
    lanes, taps = preset.channels, height * width
    passes = Operands.passes(taps, lanes)
    own = digits[:, np.arange(outputs), plane * lanes + np.arange(outputs)]
    newest_first = own.transpose(0, 1, 3, 2).reshape(count, outputs, taps)[:, :, ::-1]
    words = np.zeros((count, lanes, passes * lanes), np.int64)
    words[:, :outputs, :taps] = newest_first
    ordered = words.reshape(count, lanes, passes, lanes).transpose(0, 2, 1, 3)
    return codes(ordered.reshape(-1, lanes, lanes))
