"""Formats that python-can reads: Vector's .asc and .blf, PEAK's .trc, MDF 4, and its own .db and .csv."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import can
from can.io.blf import BLFParseError

from models.can_ids.frames import Frames
from models.can_ids.readers.candump import CAN_FD
from models.can_ids.readers.capture import Tally
from models.can_ids.readers.grammar import BAD_DLC, ERROR_FRAME, EXTENDED_MAX, LENGTH_MISMATCH
from models.can_ids.readers.sniff import BINARY
from models.can_ids.readers.source import GZIP_MAGIC
from models.can_ids.readers.templates import LINE_BYTES, TOO_LONG

__all__ = ["PASSED_OVER", "frames_of_messages", "frames_through_python_can", "reason_to_drop"]

_ASC_HEADING = re.compile(r"date |base |//", re.IGNORECASE)
CHUNK_FRAMES = 1 << 14
PASSED_OVER = "line that python-can passes over"
#: Comments and headings, which are passed over rightly.
_HEADING = re.compile(
    r"\s*(?:$|;|//|timestamp,|date |base |(?:no )? *internal events|(?:Begin|End) Trigger|[\d.]+\s+Start of)",
    re.IGNORECASE,
)


def frames_through_python_can(
    path: Path, name: str, pieces: Iterator[bytes], tally: Tally
) -> Iterator[Frames]:
    """Frames in chunks. `pieces` are the file's bytes, decompressed."""
    if name in BINARY.values():
        with tempfile.TemporaryDirectory() as folder:
            plain = _unzipped(path, pieces, Path(folder) / f"capture.{name}")
            yield from _chunks(_binary_messages(plain, name, tally), name, tally)
        return
    lines = _Lines(pieces, tally)
    yield from _chunks(_text_messages(lines, name, tally), name, tally, lines)


def _unzipped(path: Path, pieces: Iterator[bytes], copy: Path) -> Path:
    """These readers want a file they can seek in."""
    with path.open("rb") as file:
        if file.read(2) != GZIP_MAGIC:
            return path
    with copy.open("wb") as file:
        file.writelines(pieces)
    return copy


def _binary_messages(path: Path, name: str, tally: Tally) -> Iterator[can.Message]:
    if name == "db":
        yield from _until_stopped(can.SqliteReader(str(path)))
        return
    if name == "mf4":
        yield from _until_stopped(_mf4_reader(path))
        return
    with path.open("rb") as file:
        reader = _GuardedBlfReader(file)
        yield from reader
    found = path.stat().st_size
    if found < reader.file_size:
        tally.broken = f"{path} ends at byte {found:,}, its header says {reader.file_size:,}"


def _until_stopped(reader: can.io.generic.MessageReader) -> Iterator[can.Message]:
    try:
        yield from reader
    finally:
        reader.stop()


def _mf4_reader(path: Path) -> can.MF4Reader:
    try:
        import asammdf
    except ImportError as error:
        raise MissingPackage(f"{path}: .mf4 needs the asammdf package; pip install asammdf") from error
    with path.open("rb") as file:
        start = file.read(68)
    if start[8:10] != b"4." or start[64:68] != b"##HD":
        raise ValueError("no header of MDF version 4")
    asammdf.MDF(path).close()  # a broken file fails here, and not in python-can, which would leave it open
    return can.MF4Reader(path)


class MissingPackage(ValueError):
    """The format needs a package that is not installed."""


class _GuardedBlfReader(can.BLFReader):
    """python-can never leaves an object that claims to be shorter than its own header."""

    def _parse_data(self, data: bytes) -> Iterator[can.Message]:
        at = data.find(b"LOBJ")
        while 0 <= at <= len(data) - 16:
            (size,) = struct.unpack_from("<L", data, at + 8)
            if size < 16:
                raise BLFParseError(f"an object of {size} bytes, less than its header")
            at = data.find(b"LOBJ", at + size)
        yield from super()._parse_data(data)


class _Lines:
    """A text file for python-can's readers: lines of bounded length, counted."""

    def __init__(self, pieces: Iterator[bytes], tally: Tally) -> None:
        self._pieces, self._tally = pieces, tally
        self._lines = self._cut()
        self.number = 0
        self.since_message: list[str] = []

    def _cut(self) -> Iterator[bytes]:
        pending = b""
        for piece in self._pieces:
            *whole, pending = (pending + piece).split(b"\n")
            yield from whole
            # An endless line keeps its head only: enough to see that it is none of the format's.
            pending = pending[: 2 * LINE_BYTES]
        if pending:
            yield pending

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for line in self._lines:
            self.number += 1
            if len(line) > LINE_BYTES:
                self._tally.drop(TOO_LONG, self.number)
                continue
            try:
                text = line.decode()
            except UnicodeDecodeError:
                text = line.decode("cp1252", "replace")  # German month names in .asc
            self.since_message.append(text)
            return text
        raise StopIteration

    def read(self) -> str:
        raise OSError("captures are read line by line")

    def close(self) -> None:
        pass


def _text_messages(lines: _Lines, name: str, tally: Tally) -> Iterator[can.Message]:
    readers = {"asc": can.ASCReader, "trc": can.TRCReader, "python-can csv": can.CSVReader}
    for message in readers[name](_with_end_of_heading(lines) if name == "asc" else lines):
        _count_passed_over(lines, lines.since_message[:-1], tally)
        yield message
    _count_passed_over(lines, lines.since_message, tally)


def _with_end_of_heading(lines: Iterator[str]) -> Iterator[str]:
    """Tell python-can where an .asc heading ends; where no line says it, it would swallow the first frame."""
    for line in lines:
        if not _ASC_HEADING.match(line):
            if "internal events" not in line.lower():
                yield "internal events logged"
            yield line
            break
        yield line
    yield from lines


def _count_passed_over(lines: _Lines, passed: list[str], tally: Tally) -> None:
    first = lines.number - len(lines.since_message) + 1
    for number, line in enumerate(passed, first):
        if not _HEADING.match(line):
            tally.drop(PASSED_OVER, number)
    lines.since_message.clear()


def _chunks(
    messages: Iterator[can.Message], name: str, tally: Tally, lines: _Lines | None = None
) -> Iterator[Frames]:
    chunk: list[can.Message] = []
    number = 0
    try:
        for number, message in enumerate(messages, 1):
            reason = reason_to_drop(message)
            if reason:
                tally.drop(reason, number)
                continue
            chunk.append(message)
            if len(chunk) == CHUNK_FRAMES:
                yield frames_of_messages(chunk)
                chunk.clear()
    except MissingPackage:
        raise
    except Exception as error:  # whatever a broken file makes python-can, asammdf or sqlite raise
        where = f"line {lines.number:,}" if lines else f"frame {number + 1:,}"
        tally.broken = tally.broken or f"python-can's {name} reader stopped at {where}: {error!r}"
    if chunk:
        yield frames_of_messages(chunk)


def reason_to_drop(message: can.Message) -> str:
    if message.is_error_frame:
        return ERROR_FRAME
    if message.is_fd or len(message.data) > 8:  # .db and .csv have no column that says FD
        return CAN_FD
    if not 0 <= message.dlc <= 8:
        return BAD_DLC
    if not message.is_remote_frame and len(message.data) != message.dlc:
        return LENGTH_MISMATCH
    return "" if 0 <= message.arbitration_id <= EXTENDED_MAX else "identifier out of range"


def frames_of_messages(messages: list[can.Message]) -> Frames:
    frames = Frames.zeros(len(messages))
    frames.timestamp[:] = [message.timestamp for message in messages]
    frames.identifier[:] = [message.arbitration_id for message in messages]
    frames.extended[:] = [message.is_extended_id for message in messages]
    frames.remote[:] = [message.is_remote_frame for message in messages]
    frames.dlc[:] = [message.dlc for message in messages]
    for row, message in enumerate(messages):
        if not message.is_remote_frame:
            frames.data[row, : message.dlc] = message.data
    return frames
