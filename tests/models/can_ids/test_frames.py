"""Frames as columns."""

import numpy as np
import pytest

from models.can_ids.frames import Attack, Frames


def test_the_first_classes_are_those_of_the_published_network():
    assert [Attack(number).name for number in range(4)] == ["BENIGN", "DOS", "FUZZING", "SPOOFING"]


def test_columns_of_different_length_are_refused():
    columns = {name: value for name, value in vars(Frames.zeros(3)).items() if name != "dlc"}
    with pytest.raises(ValueError, match=r"equally long.*'dlc': 2"):
        Frames(**columns, dlc=np.zeros(2, np.uint8))


def test_zeros_are_benign_data_frames_without_time():
    frames = Frames.zeros(2)
    assert np.isnan(frames.timestamp).all()
    assert frames.data.shape == (2, 8)
    assert not frames.remote.any()
    assert frames.attack.tolist() == [Attack.BENIGN] * 2


def test_rows_are_taken_from_every_column():
    frames = Frames.zeros(4)
    frames.identifier[:] = [1, 2, 3, 4]
    frames.data[:, 0] = [10, 20, 30, 40]
    taken = frames[np.array([3, 1])]
    assert taken.identifier.tolist() == [4, 2]
    assert taken.data[:, 0].tolist() == [40, 20]


def test_parts_are_put_together_in_order():
    first, second = Frames.zeros(1), Frames.zeros(2)
    second.dlc[:] = 5
    whole = Frames.concatenate([first, second])
    assert whole.dlc.tolist() == [0, 5, 5]
    assert whole.identifier.dtype == np.uint32


def test_nothing_put_together_is_an_empty_capture():
    assert len(Frames.concatenate([])) == 0
