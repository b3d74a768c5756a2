"""Splits by time block: early rows of a capture train, later ones choose, the last test. Nothing is shuffled.

Overlapping windows of shuffled rows would put almost every test window into training (99.6 % against 88-90 %,
measured on this data); blocks are cut before windows are made, so that no frame is in two of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.can_ids.dataset import LabelledCapture
from models.can_ids.frames import Frames

__all__ = ["DRIVE_BLOCKS", "SLICE_BLOCKS", "Blocks", "TimeBlocks"]


@dataclass(frozen=True)
class Blocks:
    """One capture, cut."""

    name: str
    train: Frames
    validation: Frames  #: chooses the checkpoint, calibrates scores and thresholds
    test: Frames
    synthetic: bool


@dataclass(frozen=True, kw_only=True)
class TimeBlocks:
    """Shares of a capture's rows, in the order of time; what is left over tests."""

    train: float
    validation: float

    def __post_init__(self) -> None:
        if not (self.train > 0 and self.validation >= 0 and self.train + self.validation < 1):
            raise ValueError(f"the shares must be positive and leave rows for the test, not {self!r}")

    def cut(self, capture: LabelledCapture) -> Blocks:
        rows = len(capture.frames)
        first, second = int(rows * self.train), int(rows * (self.train + self.validation))
        parts = (capture.frames[slice(first)], capture.frames[slice(first, second)])
        return Blocks(capture.name, *parts, capture.frames[slice(second, rows)], capture.synthetic)


DRIVE_BLOCKS = TimeBlocks(train=0.6, validation=0.1)
#: The slices hold two contiguous chunks of 5,000 rows; the second one tests.
SLICE_BLOCKS = TimeBlocks(train=0.4, validation=0.1)
