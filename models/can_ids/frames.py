"""CAN frames as columns: the one shape in which readers, generator, features and hosts pass traffic on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

__all__ = ["Attack", "Frames"]


class Attack(IntEnum):
    """What a frame is. The first four are the classes of the published network, in its order."""

    BENIGN = 0
    DOS = 1
    FUZZING = 2
    SPOOFING = 3
    SPOOFING_GEAR = 4
    REPLAY = 5
    SUSPENSION = 6
    MASQUERADE = 7
    OTHER = 8  #: an attack that the source marks and does not name


@dataclass(frozen=True)
class Frames:
    """Columns of equal length, one row a frame, in the order in which they were on the bus."""

    timestamp: np.ndarray  #: float64, seconds; NaN where the source has none
    identifier: np.ndarray  #: uint32, 11 or 29 bits
    extended: np.ndarray  #: bool, 29-bit identifier
    remote: np.ndarray  #: bool, remote frame
    dlc: np.ndarray  #: uint8, 0 to 8
    data: np.ndarray  #: uint8 of shape (n, 8); bytes beyond the DLC are zero
    attack: np.ndarray  #: uint8, an `Attack`; BENIGN where the source has no labels

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of Frames must be equally long, not {lengths!r}")

    def __len__(self) -> int:
        return len(self.identifier)

    def __getitem__(self, rows: slice | np.ndarray) -> Frames:
        return Frames(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def zeros(cls, count: int) -> Frames:
        """That many empty benign data frames without time stamp, to be filled in."""
        return cls(
            timestamp=np.full(count, np.nan),
            identifier=np.zeros(count, np.uint32),
            extended=np.zeros(count, bool),
            remote=np.zeros(count, bool),
            dlc=np.zeros(count, np.uint8),
            data=np.zeros((count, 8), np.uint8),
            attack=np.zeros(count, np.uint8),
        )

    @classmethod
    def concatenate(cls, parts: list[Frames]) -> Frames:
        if not parts:
            return cls.zeros(0)
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))
