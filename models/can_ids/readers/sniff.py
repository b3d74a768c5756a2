"""Which text format a file has, from its first lines."""

from __future__ import annotations

from pathlib import Path

from models.can_ids.frames import Attack
from models.can_ids.readers.candump import Candump
from models.can_ids.readers.grammar import NOT_A_FRAME, Grammar
from models.can_ids.readers.hcrl import HcrlCsv, HcrlText
from models.can_ids.readers.tabular import Table, roles_of

__all__ = ["sniff"]

SAMPLE_BYTES, SAMPLE_LINES = 1 << 16, 200


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
