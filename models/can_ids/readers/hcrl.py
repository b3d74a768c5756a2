"""The two formats in which HCRL published the Car-Hacking data set: CSV without a header, and spaced text."""

from __future__ import annotations

import re

from models.can_ids.frames import Attack
from models.can_ids.readers.grammar import (
    BAD_DATA,
    BAD_DLC,
    BAD_IDENTIFIER,
    BAD_TIME,
    LENGTH_MISMATCH,
    NOT_A_FRAME,
    Line,
    byte_span,
    parse_identifier,
    parse_time,
)
from models.can_ids.readers.labels import attack_of

__all__ = ["HcrlCsv", "HcrlText"]

_ROW = re.compile(
    rb"(?P<time>[^,\s]{0,40}),\s*(?:0[xX])?(?P<id>[0-9A-Fa-f]{1,8}),\s*(?P<dlc>\d{1,3})(?P<rest>(?:,[^,]{0,8}){0,12})\s*"
)
_BYTE = re.compile(rb"[0-9A-Fa-f]{1,2}")
_TEXT = re.compile(
    rb"\s*Timestamp:\s*(?P<time>\S{1,40})\s+ID:\s*(?P<id>[0-9A-Fa-f]{1,8})\s+(?:(?P<kind>[01]{3})\s+)?"
    rb"DLC:\s*(?P<dlc>\d)(?P<data>(?:[ \t]+[0-9A-Fa-f]{2}){0,8})\s*"
)


class HcrlCsv:
    """`1478198376.389427,0316,8,05,21,68,09,21,21,00,6f,R`: one column a byte, then R or T.

    Traps: a row of fewer than eight bytes is shorter, so that the flag stands in a data column (or some tool
    padded it with empty columns when it saved it again); tools also eat leading zeros; some copies have a
    header or no flag.
    """

    name = "hcrl csv"

    def __init__(self, *, injected: Attack) -> None:
        self.injected = injected

    def parse(self, line: bytes) -> Line | str:
        match = _ROW.fullmatch(line)
        if match is None:
            return "" if not line.strip() or _is_header(line) else NOT_A_FRAME
        dlc = int(match["dlc"])
        if dlc > 8:
            return BAD_DLC
        fields = match["rest"].split(b",")[1:]
        texts, tail = [field.strip() for field in fields[:dlc]], b"".join(fields[dlc:]).strip()
        if len(texts) < dlc or tail not in (b"", b"R", b"T"):
            return LENGTH_MISMATCH
        if not all(_BYTE.fullmatch(text) for text in texts):
            return LENGTH_MISMATCH if set(texts) & {b"", b"R", b"T"} else BAD_DATA
        time = parse_time(line, match.span("time"))
        if time is None:
            return BAD_TIME
        identifier = parse_identifier(match["id"])
        if identifier is None:
            return BAD_IDENTIFIER
        start = match.start("rest")
        return Line(
            time=time,
            identifier=identifier,
            data=bytes(int(text, 16) for text in texts),
            dlc=dlc,
            attack=attack_of(tail.decode(), "", injected=self.injected),
            identifier_span=byte_span(match, "id"),
            data_span=(start, start + sum(len(field) + 1 for field in fields[:dlc])),
        )


def _is_header(line: bytes) -> bool:
    return line.strip().lower().startswith((b"timestamp,", b"time,", b'"timestamp"'))


class HcrlText:
    """`Timestamp: 1479121434.850202        ID: 0350    000    DLC: 8    05 28 84 66 6d 00 00 a2`."""

    name = "hcrl text"

    def parse(self, line: bytes) -> Line | str:
        match = _TEXT.fullmatch(line)
        if match is None:
            return NOT_A_FRAME if line.strip() else ""
        remote = match["kind"] == b"100"
        data = b"" if remote else bytes.fromhex(match["data"].decode())
        dlc = int(match["dlc"])
        if dlc > 8:
            return BAD_DLC
        if not remote and len(data) != dlc:
            return LENGTH_MISMATCH
        time = parse_time(line, match.span("time"))
        if time is None:
            return BAD_TIME
        identifier = parse_identifier(match["id"])
        if identifier is None:
            return BAD_IDENTIFIER
        return Line(
            time=time,
            identifier=identifier,
            data=data,
            dlc=dlc,
            remote=remote,
            identifier_span=byte_span(match, "id"),
            data_span=match.span("data") if data else (0, 0),
        )
