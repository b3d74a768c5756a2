"""Blocks of time: together the whole capture, and no frame in two of them."""

import numpy as np
import pytest

from models.can_ids.dataset import LabelledCapture
from models.can_ids.frames import Frames
from models.can_ids.splits import DRIVE_BLOCKS, SLICE_BLOCKS, TimeBlocks


def capture_of(rows: int) -> LabelledCapture:
    frames = Frames.zeros(rows)
    frames.timestamp[:] = np.arange(rows)
    return LabelledCapture("counted", frames)


@pytest.mark.parametrize("blocks", [DRIVE_BLOCKS, SLICE_BLOCKS, TimeBlocks(train=0.5, validation=0.0)])
@pytest.mark.parametrize("rows", [1000, 1003, 7])
def test_blocks_follow_each_other_and_share_nothing(blocks, rows):
    cut = blocks.cut(capture_of(rows))
    parts = [part.timestamp.tolist() for part in (cut.train, cut.validation, cut.test)]
    assert [*parts[0], *parts[1], *parts[2]] == list(range(rows))
    assert len(parts[0]) == pytest.approx(blocks.train * rows, abs=1)


@pytest.mark.parametrize(("train", "validation"), [(0.0, 0.1), (0.9, 0.1), (0.5, -0.1)])
def test_shares_must_leave_rows_for_the_test(train, validation):
    with pytest.raises(ValueError, match="leave rows for the test"):
        TimeBlocks(train=train, validation=validation)
