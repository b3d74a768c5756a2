"""The captures that models are trained and judged on, found in the data folder.

None of them may be redistributed, so none is in the repository; docs/can_ids.md says where each is from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.can_ids.captures import capture_path
from models.can_ids.features import is_judged
from models.can_ids.frames import Frames
from models.can_ids.readers import read

__all__ = [
    "BENIGN_DRIVE",
    "CROSS_VEHICLE",
    "DRIVE",
    "SLICES",
    "UNORDERED",
    "LabelledCapture",
    "load",
]

HCRL = "carhacking_hcrl"
#: The benign drive, and three captures made of stretches of it by injecting attacks.
BENIGN_DRIVE = f"{HCRL}/normal_run_data_decoded"
DRIVE = {
    "dos": f"{HCRL}/synth_reinject_DoS",
    "fuzzing": f"{HCRL}/synth_reinject_Fuzzy",
    "rpm": f"{HCRL}/synth_reinject_RPM",
}
#: Real contiguous slices of the Car-Hacking attack captures, labelled by rule.
SLICES = {"slice_dos": f"{HCRL}/hzz86_Dos_20000", "slice_fuzzing": f"{HCRL}/hzz86_Fuzzy_20000"}
#: Real frames of all attacks in random order: for verdicts on single frames only.
UNORDERED = {"sample": f"{HCRL}/royyg77_10000_unordered"}
#: Other vehicles, on which no model of this car can be expected to work.
CROSS_VEHICLE = {
    "road_fuzzing": "road_ornl/fuzzing_attack_1",
    "volvo_v40": "daga_volvo_v40/V40_03_PayloadFuzzing_ID1",
    "challenge_2020": "carchallenge2020_hcrl/traindata_26985",
    "train_and_test": "can_train_and_test/DoS-1",
    "unknown_2018": "injection_2018_unknown_vehicle/inject_speed_FFF",
}


@dataclass(frozen=True)
class LabelledCapture:
    """Frames that can be judged, in order, and how many there were that cannot."""

    name: str
    frames: Frames
    excluded: int = 0  #: remote frames and 29-bit identifiers
    synthetic: bool = False  #: whether the attacks were injected afterwards


def load(
    name: str, path: str | Path, *, data: Path | None = None, synthetic: bool = False
) -> LabelledCapture:
    """A capture of the data folder by its name there, or any file by its path."""
    frames = read(path if isinstance(path, Path) else capture_path(path, data)).frames
    judged = is_judged(frames)
    return LabelledCapture(name, frames[judged], int((~judged).sum()), synthetic)
