"""How fast candump logs are read: what `can_ids.reader_lines_per_s` stands for."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from models.can_ids.generator import generate
from models.can_ids.readers.reading import read
from models.can_ids.readers.writing import write_candump

__all__ = ["lines_per_second"]


def lines_per_second(*, seconds: float = 300.0, attempts: int = 5) -> float:
    """Lines of a generated log over the best of some readings of it, on one core."""
    frames = generate(vehicle_number=1, seconds=seconds, attacks=["dos", "fuzzing", "spoofing"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.log"
        write_candump(path, frames)
        return max(len(frames) / _seconds_to_read(path, len(frames)) for _ in range(attempts))


def _seconds_to_read(path: Path, expected: int) -> float:
    start = time.perf_counter()
    found = len(read(path).frames)
    took = time.perf_counter() - start
    if found != expected:
        raise AssertionError(f"{path} was written with {expected} frames and read with {found}")
    return took
