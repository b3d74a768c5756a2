"""Formats that python-can reads: Vector's .asc and .blf, PEAK's .trc, MDF 4, and its own .db and .csv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.can_ids.frames import Frames
from models.can_ids.readers.capture import Tally

__all__ = ["binary_format", "frames_through_python_can"]


def binary_format(head: bytes, path: Path) -> str:
    return ""


def frames_through_python_can(path: Path, binary: str, tally: Tally) -> Iterator[Frames]:
    yield from ()
