"""The one entry to all formats."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from models.can_ids.frames import Attack, Frames
from models.can_ids.readers.capture import Capture, Tally
from models.can_ids.readers.labels import attack_of_file
from models.can_ids.readers.sniff import format_for_python_can, sniff
from models.can_ids.readers.source import pieces
from models.can_ids.readers.templates import frames_of

__all__ = ["read", "read_chunks"]


def read(path: str | Path, *, injected: Attack | None = None) -> Capture:
    """All frames of a capture file, with what was left out and where it broke.

    `injected` is the class of frames that the file marks as injected without saying how, as HCRL's do with
    their flag T. Left out, the file's name tells (`DoS_dataset.csv`), else it is `Attack.OTHER`.
    """
    format_name, chunks, tally = _open(Path(path), injected)
    frames = Frames.concatenate(list(chunks))
    return Capture(frames, format_name, tally)


def read_chunks(
    path: str | Path, *, injected: Attack | None = None, tally: Tally | None = None
) -> Iterator[Frames]:
    """The same frames in chunks of some ten thousand; `tally` fills up on the way."""
    _, chunks, _ = _open(Path(path), injected, tally)
    return chunks


def _open(
    path: Path, injected: Attack | None, tally: Tally | None = None
) -> tuple[str, Iterator[Frames], Tally]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no capture file {str(path)!r}; give the path of one")
    tally = tally or Tally()
    source = pieces(path, tally)
    first = next(source, b"")
    name = format_for_python_can(first)
    if name:
        # Costs a second or two, through asammdf, which nobody should wait for who reads a log of candump.
        from models.can_ids.readers.python_can import frames_through_python_can

        return name, frames_through_python_can(path, name, chain([first], source), tally), tally
    grammar = sniff(first, path, attack_of_file(path.name) if injected is None else injected)
    return grammar.name, frames_of(chain([first], source), grammar, tally), tally
