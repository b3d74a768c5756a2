"""Bytes of a capture file in pieces of bounded size, gzip or not, up to where the file breaks."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from pathlib import Path

from models.can_ids.readers.capture import Tally

__all__ = ["pieces"]

GZIP_MAGIC = b"\x1f\x8b"
#: Compressed bytes handed to zlib at once. A piece that holds an error is salvaged byte by byte.
COMPRESSED_BYTES = 4096
#: A piece is given out once it is this long. deflate expands 1032 times at most, so even a decompression bomb
#: adds no more than 4 MiB to it, and costs time instead of memory.
PIECE_BYTES = 1 << 20
#: PowerShell redirects candump as UTF-16.
WIDE_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def pieces(path: Path, tally: Tally) -> Iterator[bytes]:
    """The file's bytes, decompressed, text as UTF-8 without byte-order mark; a break goes to `tally`."""
    with path.open("rb") as file:
        zipped = file.read(2) == GZIP_MAGIC
    raw = _gunzip(path, tally) if zipped else _plain(path, tally)
    first = next(raw, b"")
    encoding = WIDE_MARKS.get(first[:2])
    if encoding is None:
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from raw
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(first[2:]).encode(errors="replace")
    for piece in raw:
        yield decoder.decode(piece).encode(errors="replace")


def _plain(path: Path, tally: Tally) -> Iterator[bytes]:
    offset = 0
    with path.open("rb") as file:
        while True:
            try:
                piece = file.read(PIECE_BYTES)
            except OSError as error:
                tally.broken = f"reading {path} failed at byte {offset:,}: {error}"
                return
            if not piece:
                return
            offset += len(piece)
            yield piece


def _gunzip(path: Path, tally: Tally) -> Iterator[bytes]:
    """Decompress member after member; unlike the gzip module, give out all that precedes a break."""
    made = bytearray()
    offset = 0
    decoder = zlib.decompressobj(wbits=31)
    started = False  # a member has begun and not ended
    for raw in _plain(path, tally):
        for at in range(0, len(raw), COMPRESSED_BYTES):
            rest = raw[at : at + COMPRESSED_BYTES]
            offset += len(rest)
            while rest:
                started = True
                before = decoder.copy()
                try:
                    made += decoder.decompress(rest)
                except zlib.error as error:
                    salvaged, good = _salvage(before, rest)
                    yield bytes(made) + salvaged
                    where = offset - len(rest) + good
                    tally.broken = f"gzip stream of {path} is corrupt at byte {where:,}: {error}"
                    return
                rest = decoder.unused_data.lstrip(b"\0")  # tapes pad with zeros
                if decoder.eof:
                    decoder, started = zlib.decompressobj(wbits=31), False
            if len(made) >= PIECE_BYTES:
                yield bytes(made)
                made.clear()
    yield bytes(made) + decoder.flush()
    if started and not tally.broken:
        tally.broken = f"gzip stream of {path} ends in the middle, at byte {offset:,}"


def _salvage(decoder: zlib._Decompress, compressed: bytes) -> tuple[bytes, int]:
    """What still comes out of a piece that holds an error, and at which of its bytes the error shows."""
    made = bytearray()
    for at in range(len(compressed)):
        try:
            made += decoder.decompress(compressed[at : at + 1])
        except zlib.error:
            return bytes(made), at
    return bytes(made), len(compressed)
