"""The drive cut into blocks: an imitation of the data folder, and the real one where there is one."""

from pathlib import Path

import numpy as np
import pytest

from models.can_ids.captures import captures_folder
from models.can_ids.dataset import BENIGN_DRIVE, DRIVE
from models.can_ids.drive import GEAR_TARGET, cut_drive
from models.can_ids.frames import Attack, Frames
from models.can_ids.generator import generate
from models.can_ids.generator_attacks import inject
from models.can_ids.readers.writing import write_csv
from models.can_ids.splits import Blocks

GEAR_IDENTIFIER = GEAR_TARGET["spoofing_gear"]


@pytest.fixture(scope="module")
def imitation(tmp_path_factory) -> Path:
    """A drive in ten parts, eight in the benign file; fuzzing reaches into that file's third quarter."""
    data = tmp_path_factory.mktemp("data")
    drive = generate(vehicle_number=1, seconds=50, seed=9)
    drive.identifier[drive.identifier == drive.identifier[0]] = GEAR_IDENTIFIER
    part = len(drive) // 10
    files = {BENIGN_DRIVE: drive[slice(8 * part)]}
    stretches = ((0, 2), (2.6, 4.6), (8, 10))
    for (start, stop), (kind, path) in zip(stretches, DRIVE.items(), strict=True):
        own = drive[slice(int(start * part), int(stop * part))]
        files[path] = inject(own, ["spoofing" if kind == "rpm" else kind])
    for path, frames in files.items():
        file = data / "can" / f"{path}.csv.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_csv(file, frames)
    return data


def attacks(frames: Frames) -> set[int]:
    return set(np.unique(frames.attack).tolist()) - {Attack.BENIGN}


def test_every_block_carries_the_attack_of_its_capture(imitation):
    blocks = cut_drive(imitation)
    assert [block.name for block in blocks] == ["dos", "fuzzing", "rpm", "benign"]
    kinds = [{Attack.DOS}, {Attack.FUZZING}, {Attack.SPOOFING}, set()]
    for block, expected in zip(blocks, kinds, strict=True):
        assert attacks(block.train) == expected
        assert attacks(block.test) <= expected
    assert attacks(blocks[1].test) == {Attack.FUZZING}


def test_gear_spoofing_goes_into_the_benign_stretch(imitation):
    benign, gear = cut_drive(imitation)[3], cut_drive(imitation, gear=True)[3]
    spoofed = gear.train[gear.train.attack == Attack.SPOOFING_GEAR]
    assert len(spoofed) > 100
    assert set(spoofed.identifier.tolist()) == {GEAR_IDENTIFIER}
    assert {row.tobytes().hex() for row in spoofed.data} == {"014560ff6b000000"}
    assert benign_times(gear) == benign_times(benign)


def times(frames: Frames) -> set[float]:
    return set(frames.timestamp[frames.attack == Attack.BENIGN].tolist())


def benign_times(block: Blocks) -> set[float]:
    return times(block.train) | times(block.validation) | times(block.test)


def assert_nothing_is_shared(data: Path | None) -> None:
    blocks = cut_drive(data)
    parts = [times(part) for block in blocks for part in (block.train, block.validation, block.test)]
    assert all(parts)
    assert sum(len(part) for part in parts) == len(set().union(*parts))


def test_no_benign_frame_is_in_two_blocks(imitation):
    assert_nothing_is_shared(imitation)


def test_no_benign_frame_of_the_real_drive_is_in_two_blocks():
    try:
        captures_folder()
    except FileNotFoundError:
        pytest.skip("needs the captures")
    assert_nothing_is_shared(None)
