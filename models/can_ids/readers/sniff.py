"""Which format a file has, from its first bytes."""

from __future__ import annotations

import re
from pathlib import Path

from models.can_ids.frames import Attack
from models.can_ids.readers.candump import Candump
from models.can_ids.readers.grammar import NOT_A_FRAME, Grammar
from models.can_ids.readers.hcrl import HcrlCsv, HcrlText
from models.can_ids.readers.tabular import Table, roles_of

__all__ = ["BINARY", "format_for_python_can", "sniff"]

# What python-can reads: files with magic numbers, and texts with these first lines.
BINARY = {b"LOGG": "blf", b"MDF     ": "mf4", b"SQLite format 3\0": "db"}
FIRST_LINES = {
    "trc": re.compile(rb";\$FILEVERSION|;[ \t]*Message Number", re.IGNORECASE),
    "asc": re.compile(rb"(?:^|\n)(?:date [A-Z]|base +(?:hex|dec))", re.IGNORECASE),
    "python-can csv": re.compile(rb"timestamp,arbitration_id,extended,remote,error,dlc,data\s"),
}

SAMPLE_BYTES, SAMPLE_LINES = 1 << 16, 200
HEADING_BYTES = 4096


def format_for_python_can(head: bytes) -> str:
    """The format if python-can should read it, else nothing."""
    for magic, name in BINARY.items():
        if head.startswith(magic):
            return name
    start = head[:HEADING_BYTES]
    return next((name for name, first in FIRST_LINES.items() if first.search(start)), "")


class Unknown:
    """A text in which no format was found: every line is counted."""

    name = "unknown"

    def parse(self, line: bytes) -> str:
        return NOT_A_FRAME if line.strip() else ""


def sniff(head: bytes, path: Path, injected: Attack) -> Grammar:
    """The grammar that finds a frame, whole or not, in most of the first lines."""
    sample = [line.rstrip(b"\r") for line in head[:SAMPLE_BYTES].split(b"\n")[:SAMPLE_LINES]]
    candidates: list[Grammar] = [Candump(), HcrlText(), HcrlCsv(injected=injected)]
    header = next((line for line in sample if line.strip()), b"")
    if {"id", "data"} <= set(roles_of(header)):
        candidates.insert(0, Table(header, injected=injected, sample=sample))
    scores = [sum(grammar.parse(line) not in ("", NOT_A_FRAME) for line in sample) for grammar in candidates]
    best = max(scores)
    return candidates[scores.index(best)] if best else _by_extension(path, injected)


def _by_extension(path: Path, injected: Attack) -> Grammar:
    """Lines may come to their senses later than the sample reaches."""
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if ".log" in suffixes:
        return Candump()
    if ".csv" in suffixes:
        return HcrlCsv(injected=injected)
    return Unknown()
