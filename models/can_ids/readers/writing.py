"""Frames to files that `read` gives back unchanged: whole or not at all, gzip where the name ends in .gz."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from models.can_ids.frames import Attack, Frames

__all__ = ["write_candump", "write_csv"]

LINES_AT_ONCE = 1 << 14


def write_candump(path: str | Path, frames: Frames, *, channel: str = "can0") -> None:
    """As `candump -L` would. The format has no labels; frames without a time stamp get a line without one."""
    if not channel or any(letter in " \t()#\n" for letter in channel):
        raise ValueError(f"channel must be a name such as 'can0', not {channel!r}")
    _write(Path(path), _candump_lines(frames, channel))


def write_csv(path: str | Path, frames: Frames) -> None:
    """`timestamp,id,dlc,data,label,attack`, labels included."""
    remote = int(np.count_nonzero(frames.remote))
    if remote:
        raise ValueError(f"the table cannot hold remote frames, and there are {remote}; write a .log instead")
    _write(Path(path), _csv_lines(frames))


def _candump_lines(frames: Frames, channel: str) -> Iterator[str]:
    for time, identifier, _, extended, remote, dlc, data in _rows(frames):
        stamp = f"({time}) " if time else ""
        body = f"R{dlc or ''}" if remote else data.upper()
        yield f"{stamp}{channel} {identifier:0{8 if extended else 3}X}#{body}\n"


def _csv_lines(frames: Frames) -> Iterator[str]:
    names = [f"{'T' if attack else 'R'},{attack.name.lower()}" for attack in Attack]
    yield "timestamp,id,dlc,data,label,attack\n"
    for time, identifier, attack, extended, _, dlc, data in _rows(frames):
        yield f"{time},{identifier:0{8 if extended else 3}x},{dlc},{data},{names[attack]}\n"


def _rows(frames: Frames) -> Iterator[tuple[str, int, int, bool, bool, int, str]]:
    for start in range(0, len(frames), LINES_AT_ONCE):
        part = frames[start : start + LINES_AT_ONCE]
        data = part.data.tobytes().hex()
        columns = (part.timestamp, part.identifier, part.attack, part.extended, part.remote, part.dlc)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for row, (time, identifier, attack, extended, remote, dlc) in enumerate(rows):
            stamp = "" if time != time else f"{time:.6f}"
            yield stamp, identifier, attack, extended, remote, dlc, data[16 * row : 16 * row + 2 * dlc]


def _write(path: Path, lines: Iterable[str]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as raw:
            if path.suffix == ".gz":  # no time inside, so that equal frames make equal files
                with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped:
                    zipped.writelines(line.encode() for line in lines)
            else:
                raw.writelines(line.encode() for line in lines)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
