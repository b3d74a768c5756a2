"""Where training rows come from: attacks of every class, and no frame in two blocks."""

import numpy as np
import pytest

from models.can_ids.dataset import LabelledCapture
from models.can_ids.frames import Attack, Frames
from models.can_ids.generator import generate
from models.can_ids.material import from_capture, from_generator
from models.can_ids.topology import CLASSES, CLASSES_WITH_GEAR


@pytest.fixture(scope="module")
def benign() -> Frames:
    return generate(vehicle_number=2, seconds=20, seed=3)


@pytest.mark.parametrize("classes", [CLASSES, CLASSES_WITH_GEAR])
def test_every_block_of_a_users_capture_holds_every_class(benign, classes):
    (block,) = from_capture(LabelledCapture("mine", benign), classes).blocks
    for part in (block.train, block.validation, block.test):
        assert set(np.unique(part.attack).tolist()) == set(classes)


def test_no_benign_frame_is_in_two_blocks_and_none_is_lost(benign):
    (block,) = from_capture(LabelledCapture("mine", benign)).blocks
    parts = [part[part.attack == Attack.BENIGN] for part in (block.train, block.validation, block.test)]
    together = Frames.concatenate(parts)
    assert together.timestamp.tolist() == benign.timestamp.tolist()
    assert together.data.tolist() == benign.data.tolist()


def test_spoofing_is_one_forged_frame_in_all_blocks(benign):
    (block,) = from_capture(LabelledCapture("mine", benign)).blocks
    forged = set()
    for part in (block.train, block.validation, block.test):
        spoofed = part[part.attack == Attack.SPOOFING]
        forged |= set(zip(spoofed.identifier.tolist(), map(bytes, spoofed.data), strict=True))
    assert len(forged) == 1


def test_a_capture_with_attacks_in_it_is_refused(benign):
    (block,) = from_capture(LabelledCapture("mine", benign)).blocks
    with pytest.raises(ValueError, match="'mine' has attacks in it"):
        from_capture(LabelledCapture("mine", block.train))


def test_a_vehicle_without_11_bit_identifiers_is_refused():
    with pytest.raises(ValueError, match="vehicle 4 has 29-bit identifiers only"):
        from_generator(4, seconds=5)
