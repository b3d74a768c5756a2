"""The table: what is judged on what, with a model whose logits are known."""

from dataclasses import dataclass, field

import numpy as np

from models.can_ids.evaluation import (
    HeldOut,
    evaluate,
    generated_captures,
    golden_windows_per_second,
    together,
)
from models.can_ids.features import Encoding
from models.can_ids.frames import Attack, Frames
from models.can_ids.material import from_generator
from models.can_ids.scores import Calibration
from models.can_ids.topology import CLASSES


@dataclass
class KnownModel:
    """Calls identifier 0 DoS with margin 5, and identifier 9 fuzzing with margin 1."""

    per_frame: bool = True
    name: str = "known"
    encoding: Encoding = field(default_factory=lambda: Encoding(kind="bits", window=1))
    classes: tuple[Attack, ...] = CLASSES
    calibration: Calibration = field(
        default_factory=lambda: Calibration(slope=1, intercept=0, threshold=3, benign_rows=0)
    )

    def logits(self, frames: Frames) -> np.ndarray:
        logits = np.zeros((len(frames), 4), np.int64)
        logits[:, 1] = np.where(frames.identifier == 0, 5, -5)
        logits[:, 2] = np.where(frames.identifier == 9, 1, -5)
        return logits

    def of_windows(self, windows: np.ndarray) -> np.ndarray:
        return np.zeros((len(windows), 4), np.int64)


def capture(*rows: tuple[int, Attack], group: str = "drive", ordered: bool = True) -> HeldOut:
    frames = Frames.zeros(len(rows))
    frames.identifier[:] = [identifier for identifier, _ in rows]
    frames.attack[:] = [attack for _, attack in rows]
    return HeldOut(group, group, frames, ordered)


BENIGN, DOS, FUZZING = (1, Attack.BENIGN), (0, Attack.DOS), (7, Attack.FUZZING)
FALSE_ALARM = (9, Attack.BENIGN)


def test_frames_windows_and_alarms_are_counted_from_the_same_logits():
    (judgement,) = evaluate(KnownModel(), [capture(*[BENIGN] * 4, DOS, *[BENIGN] * 4, FALSE_ALARM, FUZZING)])
    assert (judgement.frames.rows, judgement.frames.wrong, judgement.frames.false_positives) == (11, 2, 1)
    assert judgement.alarm_frames.false_positives == 0
    assert judgement.alarm_frames.detection_rate == 0.5
    # Windows of four: 4 hold the DoS frame, 1 the false alarm alone, 1 false alarm and missed fuzzing frame.
    windows = judgement.windows.counts
    assert windows[Attack.DOS, Attack.DOS] == 4
    assert windows[Attack.BENIGN, Attack.FUZZING] == 1
    assert windows[Attack.FUZZING, Attack.FUZZING] == 1
    assert judgement.windows.rows == 8


def test_rows_in_random_order_are_judged_one_by_one_and_by_known_classes_only():
    gear = (3, Attack.SPOOFING_GEAR)
    sample = capture(BENIGN, DOS, gear, group="sample", ordered=False)
    (judgement,) = evaluate(KnownModel(), [sample])
    assert judgement.windows is None
    assert (judgement.frames.rows, judgement.frames.wrong) == (2, 0)
    assert evaluate(KnownModel(per_frame=False), [sample]) == []


def test_groups_add_up_and_stay_apart():
    parts = [capture(BENIGN, DOS), capture(FALSE_ALARM, DOS), capture(FALSE_ALARM, group="cross_vehicle")]
    judgements = evaluate(KnownModel(), parts)
    assert together(judgements, "drive", "frames").rows == 4
    assert together(judgements, "cross_vehicle", "frames").false_positives == 1
    assert together(judgements, "slices", "frames") is None


def test_generated_captures_are_what_training_has_not_seen():
    (held_out,) = generated_captures(seconds=10)
    (block,) = from_generator(seconds=10, drives=2).blocks
    assert held_out.frames.data.tolist() == block.test.data.tolist()
    seen = [block.train, block.validation, block.test]
    drives = [frozenset(part.timestamp[part.attack == 0].tolist()) for part in seen]
    for one, other in ((0, 1), (0, 2), (1, 2)):  # other seeds, other moments
        assert len(drives[one] & drives[other]) < 0.01 * len(drives[2])
    assert len(block.train) > 1.8 * len(block.validation)


def test_the_golden_is_timed_in_windows():
    speed = golden_windows_per_second(KnownModel(), capture(*[BENIGN] * 1000).frames, seconds=0.01)
    assert speed > 1000
