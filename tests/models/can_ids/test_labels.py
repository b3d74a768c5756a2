"""Labels of windows, against a direct reading of each window."""

import numpy as np

from models.can_ids.labels import frame_labels, window_labels, window_verdicts

ATTACK = np.array([0, 0, 2, 0, 0, 0, 0, 1, 3, 0], np.uint8)


def test_a_frame_label_is_that_of_the_newest_frame():
    assert frame_labels(ATTACK, 4).tolist() == [0, 0, 0, 0, 1, 3, 0]


def test_a_window_is_its_newest_attack():
    expected = [next((one for one in reversed(window) if one), 0) for window in _windows(ATTACK.tolist())]
    assert window_labels(ATTACK, 4).tolist() == expected == [2, 2, 2, 0, 1, 3, 3]


def test_verdicts_on_frames_become_verdicts_on_windows():
    assert window_verdicts(np.array([1, 0], np.uint8), 4).tolist() == []
    assert window_verdicts(np.array([1, 0, 0, 0], np.uint8), 4).tolist() == [1]


def _windows(values: list[int]) -> list[list[int]]:
    return [values[row : row + 4] for row in range(len(values) - 3)]
