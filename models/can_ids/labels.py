"""What a window is: the class of its newest frame, or, as published, of any attack frame in it."""

from __future__ import annotations

import numpy as np

from models.can_ids.frames import Attack

__all__ = ["frame_labels", "window_labels", "window_verdicts"]


def frame_labels(attack: np.ndarray, window: int) -> np.ndarray:
    """The class of each window's newest frame."""
    return attack[window - 1 :]


def window_labels(attack: np.ndarray, window: int) -> np.ndarray:
    """The class of the newest attack frame in each window; BENIGN where there is none.

    The published labels. Captures hold one kind of attack, so that which attack frame names a mixed window
    hardly matters.
    """
    return window_verdicts(attack, window)


def window_verdicts(verdicts: np.ndarray, window: int) -> np.ndarray:
    """Verdicts on single frames as verdicts on windows: the newest that is not BENIGN wins."""
    if len(verdicts) < window:
        return verdicts[:0]
    views = np.lib.stride_tricks.sliding_window_view(verdicts, window)
    result = np.full(len(views), Attack.BENIGN, verdicts.dtype)
    for slot in range(window):
        result = np.where(views[:, slot] != Attack.BENIGN, views[:, slot], result)
    return result
