"""The accuracy table: every model on every capture, on rows that no training saw. Needs no torch."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.can_ids.dataset import CROSS_VEHICLE, SLICES, UNORDERED, load
from models.can_ids.drive import cut_drive
from models.can_ids.frames import Attack, Frames
from models.can_ids.labels import frame_labels, window_labels, window_verdicts
from models.can_ids.material import TEST_SECONDS, generated_test
from models.can_ids.metrics import Confusion
from models.can_ids.scores import verdicts
from models.can_ids.splits import SLICE_BLOCKS
from models.can_ids.zoo import CanModel

__all__ = [
    "PUBLISHED_WINDOW",
    "HeldOut",
    "Judgement",
    "evaluate",
    "generated_captures",
    "golden_windows_per_second",
    "hcrl_captures",
    "together",
]

PUBLISHED_WINDOW = 4


@dataclass(frozen=True)
class HeldOut:
    """Labelled rows that no model was trained on, and the group whose figures they belong to."""

    name: str
    group: str  #: drive, slices, sample, cross_vehicle, generated or capture
    frames: Frames
    ordered: bool = True  #: whether neighbouring rows were neighbours on the bus


@dataclass(frozen=True)
class Judgement:
    """One model on one capture."""

    model: str
    capture: str
    group: str
    windows: Confusion | None  #: as published: windows of four frames, attack if any frame is
    frames: Confusion | None  #: single frames; only for models that judge them
    alarm_frames: Confusion | None  #: the same at the threshold of one false alarm an hour
    logits: np.ndarray
    attacked: np.ndarray  #: what the logits should say: whether the row is an attack


def hcrl_captures(data: Path | None = None, *, gear: bool, cross_vehicle: bool = True) -> list[HeldOut]:
    """Test rows of the drive and the slices; the whole of everything that is never trained on."""
    captures = [HeldOut(block.name, "drive", block.test) for block in cut_drive(data, gear=gear)]
    for name, path in SLICES.items():
        captures.append(HeldOut(name, "slices", SLICE_BLOCKS.cut(load(name, path, data=data)).test))
    for name, path in UNORDERED.items():
        frames = load(name, path, data=data).frames
        captures.append(HeldOut(name, "sample", frames, ordered=False))
    if cross_vehicle:
        for name, path in CROSS_VEHICLE.items():
            captures.append(HeldOut(name, "cross_vehicle", load(name, path, data=data).frames))
    return captures


def generated_captures(vehicle: int = 1, *, seconds: float = TEST_SECONDS) -> list[HeldOut]:
    """A generated drive that `from_generator` does not train on, for where no capture is."""
    return [HeldOut("generated", "generated", generated_test(vehicle, seconds=seconds))]


def evaluate(model: CanModel, captures: Iterable[HeldOut]) -> list[Judgement]:
    """The model on each capture on which it is defined: attacks it has no class for are left out."""
    return [
        _judge(model, capture)
        for capture in captures
        if capture.ordered or (model.per_frame and model.encoding.window == 1)
    ]


def _judge(model: CanModel, capture: HeldOut) -> Judgement:
    frames = capture.frames
    if capture.group == "sample":  # rows in random order: leaving some out breaks nothing
        frames = frames[np.isin(frames.attack, model.classes)]
    window = model.encoding.window
    logits = model.logits(frames)
    judged = verdicts(logits)
    of_windows = of_frames = at_alarm = None
    if model.per_frame:
        truth = frame_labels(frames.attack, window)
        of_frames = Confusion.of(truth, judged)
        at_alarm = Confusion.of(truth, verdicts(logits, model.calibration.threshold))
        if capture.ordered:
            of_windows = _published_windows(truth, judged)
    else:
        truth = window_labels(frames.attack, window)
        of_windows = Confusion.of(truth, judged)
    return Judgement(
        model.name,
        capture.name,
        capture.group,
        of_windows,
        of_frames,
        at_alarm,
        logits,
        truth != Attack.BENIGN,
    )


def _published_windows(truth: np.ndarray, judged: np.ndarray) -> Confusion:
    return Confusion.of(window_verdicts(truth, PUBLISHED_WINDOW), window_verdicts(judged, PUBLISHED_WINDOW))


def together(judgements: Iterable[Judgement], group: str, kind: str = "windows") -> Confusion | None:
    """The sum of a group's confusions: `windows`, `frames` or `alarm_frames`."""
    parts = [getattr(judgement, kind) for judgement in judgements if judgement.group == group]
    parts = [part for part in parts if part is not None]
    return sum(parts[1:], parts[0]) if parts else None


def golden_windows_per_second(model: CanModel, frames: Frames, *, seconds: float = 1.0) -> float:
    """How many verdicts a second the integer program gives in numpy, from encoded windows on."""
    windows = model.encoding.windows(frames)
    model.of_windows(windows)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        verdicts(model.of_windows(windows))
        count += len(windows)
    return count / (time.perf_counter() - start)
