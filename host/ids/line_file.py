"""A text file that is whole lines at any moment: after a full disk, a crash or Ctrl-C as well."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["LineFile", "SinkError"]


class SinkError(Exception):
    """The output cannot be written; the message names the file and says what to do."""


class LineFile:
    """Appends blocks of whole lines, each block entirely or not at all.

    What an earlier run left half written at the end is cut off first; no two processes share one.
    """

    def __init__(self, path: Path, *, heading: str = ""):
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise SinkError(f"{str(path)!r} cannot be opened for writing: {error.strerror}") from error
        self._is_regular = path.is_file()  # a pipe or /dev/stdout has no end to cut off
        self._good = self._end_of_last_line() if self._is_regular else 0
        if heading and not self._good:
            self.append(heading)

    def append(self, lines: str) -> None:
        """`lines` end with a newline."""
        block = lines.encode()
        try:
            written = 0
            while written < len(block):
                written += os.write(self._file, block[written:])
        except BaseException as error:
            self._cut(self._good)
            if not isinstance(error, OSError):
                raise
            raise SinkError(
                f"writing {str(self.path)!r} failed: {error.strerror}. What was written before is whole; "
                "make room, or name a file elsewhere, and run again: it is appended to"
            ) from error
        self._good += len(block)

    def close(self) -> None:
        os.close(self._file)

    def _end_of_last_line(self) -> int:
        """Cut off what stands behind the last newline, and give the size of what is left."""
        size = os.lseek(self._file, 0, os.SEEK_END)
        end, step = size, 1 << 16
        while end > 0:
            start = max(0, end - step)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            self._cut(end)
        return end

    def _cut(self, size: int) -> None:
        if self._is_regular:
            os.ftruncate(self._file, size)
