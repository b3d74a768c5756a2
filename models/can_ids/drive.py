"""The HCRL drive cut into blocks, so that no frame of it both trains and tests.

Three captures were made of stretches of one drive by injecting attacks, and the file of the benign drive
covers some of the same minutes: the last third of the fuzzing capture is the beginning of the file's third
quarter. Hence that quarter is the benign capture, the fuzzing capture ends where it begins, and fuzzing is
tested on the fourth quarter, which nothing else uses, with fuzzing injected by the generator.
"""

from __future__ import annotations

from pathlib import Path

from models.can_ids.dataset import BENIGN_DRIVE, DRIVE, LabelledCapture, load
from models.can_ids.frames import Frames
from models.can_ids.generator_attacks import inject
from models.can_ids.splits import DRIVE_BLOCKS, Blocks

__all__ = ["cut_drive"]

#: What the real gear attack sends.
GEAR_TARGET = {"spoofing_gear": 0x43F}
GEAR_PAYLOAD = {"spoofing_gear": bytes.fromhex("014560ff6b000000")}


def cut_drive(data: Path | None = None, *, gear: bool = False) -> list[Blocks]:
    """Blocks of DoS, fuzzing and engine-speed spoofing, and of a benign stretch or one with gear spoofing."""
    dos, fuzzing, rpm = (load(name, path, data=data, synthetic=True) for name, path in DRIVE.items())
    whole = load("benign", BENIGN_DRIVE, data=data).frames
    quarter = len(whole) // 4
    third = whole[slice(2 * quarter, 3 * quarter)]
    fourth = whole[slice(3 * quarter, 4 * quarter)]
    last = LabelledCapture("benign", third)
    if gear:
        attacked = inject(third, ["spoofing_gear"], seed=0, targets=GEAR_TARGET, payloads=GEAR_PAYLOAD)
        last = LabelledCapture("gear", attacked, synthetic=True)
    cut = DRIVE_BLOCKS.cut(fuzzing)
    begin = float(third.timestamp[0])
    fuzzing_blocks = Blocks(
        name=fuzzing.name,
        train=_before(cut.train, begin),
        validation=_before(cut.validation, begin),
        test=inject(fourth, ["fuzzing"], seed=0),
        synthetic=True,
    )
    return [DRIVE_BLOCKS.cut(dos), fuzzing_blocks, DRIVE_BLOCKS.cut(rpm), DRIVE_BLOCKS.cut(last)]


def _before(frames: Frames, end: float) -> Frames:
    return frames[frames.timestamp < end]
