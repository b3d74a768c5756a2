"""Frames and verdicts as they lie in memory, and the columns that the rest of the host works on."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

import numpy as np

from models.can_ids.frames import Frames

__all__ = [
    "FRAME",
    "UNJUDGED",
    "VERDICT",
    "Verdicts",
    "differing_rows",
    "host_us_per_frame",
    "pack",
    "unpack",
]

#: What the overlay reads on replay.
FRAME = np.dtype(
    [("identifier", "<u4"), ("flags", "u1"), ("dlc", "u1"), ("reserved", "<u2"), ("data", "u1", 8)]
)
#: What it writes into the ring.
VERDICT = np.dtype(
    [
        ("identifier", "<u4"),
        ("flags", "u1"),
        ("dlc", "u1"),
        ("verdict", "u1"),
        ("alert", "u1"),
        ("data", "u1", 8),
        ("timestamp", "<u8"),
        ("score", "<i4"),
        ("sequence", "<u4"),
    ]
)
EXTENDED, REMOTE, FROM_PINS, KILLED = 1, 2, 4, 8  #: bits of `flags`
UNJUDGED = 0xFF  #: the verdict on a frame that the model is not defined on

# The payload as one word: numpy copies numbers faster than rows of eight bytes.
_FRAME_WORDS = np.dtype([("head", "<u8"), ("data", "<u8")])
_VERDICT_WORDS = np.dtype([("head", "<u8"), ("data", "<u8"), ("timestamp", "<u8"), ("tail", "<u8")])


@dataclass(frozen=True)
class Verdicts:
    """A row a frame, in the order in which they were judged."""

    frames: Frames  #: what was judged; of the pins, with the cycle over the clock as time stamp
    verdict: np.ndarray  #: uint8, index among the model's classes, or UNJUDGED
    alert: np.ndarray  #: bool: an attack of an enabled class that reaches the threshold
    score: np.ndarray  #: int32, best attack logit less benign logit
    cycle: np.ndarray  #: uint64, clock cycle of the verdict; zero where no clock ran
    sequence: np.ndarray  #: uint32, number of the frame since the reset
    killed: np.ndarray  #: bool: the guard destroyed the frame

    def __len__(self) -> int:
        return len(self.verdict)

    def __getitem__(self, rows: slice | np.ndarray) -> Verdicts:
        return Verdicts(*(getattr(self, column.name)[rows] for column in fields(self)))

    @property
    def judged(self) -> np.ndarray:
        return self.verdict != UNJUDGED

    @classmethod
    def concatenate(cls, parts: list[Verdicts]) -> Verdicts:
        if not parts:
            return unpack(np.zeros(0, VERDICT))
        columns = [column.name for column in fields(cls)[1:]]
        joined = (np.concatenate([getattr(part, name) for part in parts]) for name in columns)
        return cls(Frames.concatenate([part.frames for part in parts]), *joined)


def pack(frames: Frames, out: np.ndarray | None = None) -> np.ndarray:
    """Frames as the records of a replay, into `out` (of dtype FRAME, as long) where it is given."""
    records = np.empty(len(frames), FRAME) if out is None else out
    words = records.view(_FRAME_WORDS)
    flags = frames.extended.view(np.uint8) | frames.remote.view(np.uint8) << 1
    head = frames.identifier.astype(np.uint64)
    head |= flags.astype(np.uint64) << np.uint64(32)
    head |= frames.dlc.astype(np.uint64) << np.uint64(40)
    words["head"] = head
    words["data"] = _payload_words(frames.data)
    return records


def unpack(records: np.ndarray, *, frames: Frames | None = None, clock_hz: float | None = None) -> Verdicts:
    """The columns of verdict records. `frames` are those that were replayed, with their labels and times.

    Without them, the frames are made of the records themselves, with times where `clock_hz` is given.
    """
    flags = records["flags"].copy()
    cycle = records["timestamp"].copy()
    if frames is None:
        frames = _frames_of(records, flags, cycle, clock_hz)
    return Verdicts(
        frames=frames,
        verdict=records["verdict"].copy(),
        alert=records["alert"] != 0,
        score=records["score"].copy(),
        cycle=cycle,
        sequence=records["sequence"].copy(),
        killed=(flags & KILLED) != 0,
    )


def differing_rows(records: np.ndarray, frames: Frames) -> np.ndarray:
    """Rows in which verdict records are not about these frames."""
    words = records.view(_VERDICT_WORDS)
    different = words["data"] != _payload_words(frames.data)
    different |= records["identifier"] != frames.identifier
    return np.flatnonzero(different)


def host_us_per_frame(*, count: int = 1 << 16, repeats: int = 5) -> float:
    """Microseconds a frame that packing and unpacking take, the best of `repeats`."""
    rng = np.random.default_rng(1)
    frames = Frames.zeros(count)
    frames.identifier[:] = rng.integers(0, 1 << 11, count)
    frames.dlc[:] = 8
    frames.data[:] = rng.integers(0, 256, (count, 8))
    frame_records, verdict_records = np.zeros(count, FRAME), np.zeros(count, VERDICT)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        pack(frames, frame_records)
        unpack(verdict_records.copy(), clock_hz=1e8)  # the copy is what takes them out of the ring
        best = min(best, time.perf_counter() - started)
    return best / count * 1e6


def _payload_words(data: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(data).view("<u8").reshape(-1)


def _frames_of(records: np.ndarray, flags: np.ndarray, cycle: np.ndarray, clock_hz: float | None) -> Frames:
    count = len(records)
    payload = records.view(_VERDICT_WORDS)["data"].copy()
    return Frames(
        timestamp=cycle / clock_hz if clock_hz else np.full(count, np.nan),
        identifier=records["identifier"].astype(np.uint32),
        extended=(flags & EXTENDED) != 0,
        remote=(flags & REMOTE) != 0,
        dlc=records["dlc"].copy(),
        data=payload.view(np.uint8).reshape(count, 8),
        attack=np.zeros(count, np.uint8),
    )
