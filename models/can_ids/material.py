"""What a recipe trains on: the HCRL captures, the user's own capture, or generated traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.can_ids.dataset import SLICES, LabelledCapture, load
from models.can_ids.drive import cut_drive
from models.can_ids.features import is_judged
from models.can_ids.frames import Attack, Frames
from models.can_ids.generator import generate
from models.can_ids.generator_attacks import inject
from models.can_ids.labels import frame_labels, window_labels
from models.can_ids.recipes import Recipe
from models.can_ids.splits import DRIVE_BLOCKS, SLICE_BLOCKS, Blocks
from models.can_ids.topology import CLASSES

__all__ = [
    "TEST_SECONDS",
    "Material",
    "from_capture",
    "from_generator",
    "from_hcrl",
    "generated_test",
    "labelled_windows",
]

#: What the generator injects for each class but BENIGN, in the order of the classes.
INJECTED = ("dos", "fuzzing", "spoofing", "spoofing_gear")
#: Drives of the generator that a model is trained on, how long each is, and their seeds: numbers that nobody
#: types, so that what is judged later was in no training. One in five as many choose, and one more tests.
GENERATED_DRIVES, GENERATED_SECONDS = 10, 120.0
TRAINING_SEED, VALIDATION_SEED, TEST_SEED = 10_000, 20_000, 30_000
TEST_SECONDS = 60.0


@dataclass(frozen=True)
class Material:
    """Captures cut into blocks, and what to say of them in a card."""

    blocks: list[Blocks]
    description: str
    vehicle: int | None = None  #: number of the generator's vehicle, where it is generated
    other_drives: bool = False  #: whether what is validated on are other drives, and not the next minutes

    def training(self, recipe: Recipe) -> list[tuple[Frames, float]]:
        weights = dict.fromkeys(SLICES, recipe.slice_weight)
        return [(block.train, weights.get(block.name, 1.0)) for block in self.blocks]

    def validation(self, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
        """Windows and classes of all validation blocks."""
        parts = [labelled_windows(recipe, block.validation) for block in self.blocks]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def labelled_windows(recipe: Recipe, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
    encoding = recipe.topology.encoding
    labels = frame_labels if recipe.sampling.per_frame else window_labels
    return encoding.windows(frames), labels(frames.attack, encoding.window).astype(np.int64)


def from_hcrl(classes: Sequence[Attack] = CLASSES, *, data: Path | None = None) -> Material:
    """The drive with injected attacks and the first chunks of the real slices."""
    gear = Attack.SPOOFING_GEAR in classes
    blocks = cut_drive(data, gear=gear)
    blocks += [SLICE_BLOCKS.cut(load(name, path, data=data)) for name, path in SLICES.items()]
    return Material(blocks, "HCRL Car-Hacking: one real drive with injected attacks, and real slices")


def from_capture(benign: LabelledCapture, classes: Sequence[Attack] = CLASSES, *, seed: int = 0) -> Material:
    """The user's own vehicle: blocks of a benign capture, each with every class of attack injected.

    Attacks are put in after the cut, so that no frame of one block comes into another by replay.
    """
    if (benign.frames.attack != Attack.BENIGN).any():
        raise ValueError(f"the capture {benign.name!r} has attacks in it; train on a benign one")
    cut = DRIVE_BLOCKS.cut(benign)
    kinds = INJECTED[: len(classes) - 1]
    targets, payloads = _spoofing(benign.frames, kinds, seed)

    def attacked(part: Frames) -> Frames:
        frames = inject(part, kinds, seed=seed, targets=targets, payloads=payloads)
        return frames[is_judged(frames)]

    blocks = Blocks(
        name=benign.name,
        train=attacked(cut.train),
        validation=attacked(cut.validation),
        test=attacked(cut.test),
        synthetic=True,
    )
    return Material([blocks], f"the benign capture {benign.name!r} with injected attacks")


def _spoofing(benign: Frames, kinds: Sequence[str], seed: int) -> tuple[dict[str, int], dict[str, bytes]]:
    """One victim and one forged payload a kind of spoofing, drawn in the whole and used in every block."""
    spoofing = [kind for kind in kinds if kind.startswith("spoofing")]
    targets: dict[str, int] = {}
    payloads: dict[str, bytes] = {}
    drawn = inject(benign, spoofing, seed=seed)
    for kind in spoofing:
        label = Attack.SPOOFING_GEAR if kind == "spoofing_gear" else Attack.SPOOFING
        first = int(np.flatnonzero(drawn.attack == label)[0])
        targets[kind] = int(drawn.identifier[first])
        payloads[kind] = drawn.data[first, : drawn.dlc[first]].tobytes()
    return targets, payloads


def from_generator(
    vehicle: int = 1,
    classes: Sequence[Attack] = CLASSES,
    *,
    seconds: float | None = None,
    drives: int | None = None,
) -> Material:
    """Drives of one of the generator's vehicles, behind each other: no capture needed."""
    seconds = GENERATED_SECONDS if seconds is None else seconds
    drives = GENERATED_DRIVES if drives is None else drives
    choosing = max(1, drives // 5)

    def together(first: int, count: int) -> Frames:
        parts = [_generated(vehicle, classes, seconds, seed) for seed in range(first, first + count)]
        return Frames.concatenate(parts)

    block = Blocks(
        name="generated",
        train=together(TRAINING_SEED, drives),
        validation=together(VALIDATION_SEED, choosing),
        test=generated_test(vehicle, classes, seconds=min(seconds, TEST_SECONDS)),
        synthetic=True,
    )
    description = (
        f"generated traffic of vehicle {vehicle}, nothing real: {drives} drives of {seconds:g} s; {choosing} "
        "more chose the checkpoint and the threshold"
    )
    return Material([block], description, vehicle, other_drives=True)


def generated_test(
    vehicle: int = 1, classes: Sequence[Attack] = CLASSES, *, seconds: float = TEST_SECONDS
) -> Frames:
    """An attacked drive that is in no training."""
    return _generated(vehicle, classes, seconds, TEST_SEED)


def _generated(vehicle: int, classes: Sequence[Attack], seconds: float, seed: int) -> Frames:
    kinds = INJECTED[: len(classes) - 1]
    frames = generate(vehicle_number=vehicle, seconds=seconds, seed=seed, attacks=kinds)
    judged = is_judged(frames)
    if not judged[frames.attack == Attack.BENIGN].any():
        raise ValueError(f"vehicle {vehicle!r} has 29-bit identifiers only, which no encoding is defined for")
    return frames[judged]
