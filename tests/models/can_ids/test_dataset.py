"""Captures of the data folder: a small imitation of it, and the real one where there is one."""

from pathlib import Path

import numpy as np
import pytest

from models.can_ids.captures import captures_folder
from models.can_ids.dataset import BENIGN_DRIVE, DRIVE, GEAR_TARGET, load, load_drive
from models.can_ids.frames import Attack, Frames
from models.can_ids.generator import generate
from models.can_ids.generator_attacks import inject
from models.can_ids.readers.writing import write_csv
from models.can_ids.splits import DRIVE_BLOCKS

GEAR_IDENTIFIER = GEAR_TARGET["spoofing_gear"]


@pytest.fixture(scope="module")
def imitation(tmp_path_factory) -> Path:
    """A data folder whose drive is generated, and three stretches of it, off the quarters, attacked."""
    data = tmp_path_factory.mktemp("data")
    drive = generate(vehicle_number=1, seconds=40, seed=9)
    drive.identifier[drive.identifier == drive.identifier[0]] = GEAR_IDENTIFIER
    part = len(drive) // 10
    parts = {BENIGN_DRIVE: drive}
    for start, (kind, path) in zip((0, 3, 8), DRIVE.items(), strict=True):
        own = drive[slice(start * part, (start + 2) * part)]
        parts[path] = inject(own, ["spoofing" if kind == "rpm" else kind])
    for path, frames in parts.items():
        file = data / "can" / f"{path}.csv.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_csv(file, frames)
    return data


def test_the_stretches_carry_one_attack_each(imitation):
    captures = load_drive(imitation)
    assert [capture.name for capture in captures] == ["dos", "fuzzing", "rpm", "benign"]
    found = [set(np.unique(capture.frames.attack).tolist()) - {Attack.BENIGN} for capture in captures]
    assert found == [{Attack.DOS}, {Attack.FUZZING}, {Attack.SPOOFING}, set()]


def test_gear_spoofing_goes_into_the_longest_stretch_that_is_left(imitation):
    benign, gear = load_drive(imitation)[3].frames, load_drive(imitation, gear=True)[3].frames
    spoofed = gear[gear.attack == Attack.SPOOFING_GEAR]
    assert len(spoofed) > 100
    assert set(spoofed.identifier.tolist()) == {GEAR_IDENTIFIER}
    assert {row.tobytes().hex() for row in spoofed.data} == {"014560ff6b000000"}
    assert gear[gear.attack == Attack.BENIGN].data.tolist() == benign.data.tolist()


def benign_times(frames: Frames) -> set[float]:
    return set(frames.timestamp[frames.attack == Attack.BENIGN].tolist())


def assert_nothing_is_shared(data: Path | None) -> None:
    blocks = [DRIVE_BLOCKS.cut(capture) for capture in load_drive(data)]
    train = set().union(*(benign_times(block.train) for block in blocks))
    for block in blocks:
        assert not train & benign_times(block.test)
        assert not train & benign_times(block.validation)


def test_no_benign_frame_trains_and_tests(imitation):
    assert_nothing_is_shared(imitation)


def test_no_benign_frame_of_the_real_drive_trains_and_tests():
    try:
        captures_folder()
    except FileNotFoundError:
        pytest.skip("needs the captures")
    assert_nothing_is_shared(None)


def test_frames_that_cannot_be_judged_are_left_out_and_counted(tmp_path):
    log = tmp_path / "mixed.log"
    log.write_text("(1.0) can0 123#00\n(1.1) can0 18FEF100#00\n(1.2) can0 124#R\n(1.3) can0 125#0102\n")
    capture = load("mixed", log)
    assert capture.frames.identifier.tolist() == [0x123, 0x125]
    assert capture.excluded == 2
