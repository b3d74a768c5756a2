"""Comma-separated captures whose header names the columns: `timestamp,id,dlc,data,label,attack` and kin."""

from __future__ import annotations

import csv
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
    parse_identifier,
    parse_time,
)
from models.can_ids.readers.labels import attack_of

__all__ = ["Table", "roles_of"]

#: What data sets call their columns, in lower case without blanks, dots and underscores.
ROLES = {
    "timestamp": "time",
    "timestamps": "time",
    "time": "time",
    "ts": "time",
    "id": "id",
    "canid": "id",
    "arbitrationid": "id",
    "aid": "id",
    "dlc": "dlc",
    "data": "data",
    "payload": "data",
    "payloadhex": "data",
    "datafield": "data",
    "label": "flag",
    "labelderived": "flag",
    "flag": "flag",
    "class": "flag",
    "anomaly": "flag",
    "attack": "name",
    "subclass": "name",
}
_UNITS = re.compile(r"(?:_s|_us|_ms)$")
_BYTES = re.compile(rb"(?:[0-9A-Fa-f]{2} ?){0,8}")
_HEX = re.compile(rb"(?:0[xX])?([0-9A-Fa-f]{1,8})")
_DECIMAL = re.compile(rb"\d{1,10}")


def roles_of(header: bytes) -> list[str]:
    """The role of each column, empty for those that say nothing about a frame."""
    titles = header.decode("utf-8", "replace").split(",")
    plain = [_UNITS.sub("", title.strip().strip('"').lower()) for title in titles]
    return [ROLES.get(re.sub(r"[ ._]", "", title), "") for title in plain]


class Table:
    """Rows under a header. Identifiers are hexadecimal, unless one in the sample can only be decimal."""

    name = "csv"

    def __init__(self, header: bytes, *, injected: Attack, sample: list[bytes]) -> None:
        roles = roles_of(header)
        for needed in ("id", "data"):
            if needed not in roles:
                raise ValueError(
                    f"a table of frames needs a column for the {needed}, the header is {header!r}"
                )
        self.header = header.strip()
        self.injected = injected
        self.width = len(roles)
        self.at = {role: place for place, role in reversed(list(enumerate(roles))) if role}
        self.free = [place for place, role in enumerate(roles) if not role]
        self.decimal = any(self._is_decimal(row) for row in sample)

    def _is_decimal(self, row: bytes) -> bool:
        fields, place = row.split(b","), self.at["id"]
        return len(fields) > place and len(fields[place]) > 8 and fields[place].isdigit()

    def parse(self, line: bytes) -> Line | str:
        if not line.strip() or line.strip() == self.header:
            return ""
        if b'"' in line:  # rare, and never the model for other lines
            return self._parse_quoted(line)
        fields = line.split(b",")
        if len(fields) != self.width:
            return NOT_A_FRAME
        spans, start = [], 0
        for field in fields:
            spans.append((start, start + len(field)))
            start += len(field) + 1
        return self._parse_fields(line, spans)

    def _parse_quoted(self, line: bytes) -> Line | str:
        fields = next(csv.reader([line.decode("latin-1")]), [])
        plain = [field.replace(",", " ").replace('"', " ") for field in fields]
        return self.parse(",".join(plain).encode("latin-1"))

    def _parse_fields(self, line: bytes, spans: list[tuple[int, int]]) -> Line | str:
        def field(role: str) -> bytes:
            place = self.at.get(role)
            return b"" if place is None else line[slice(*spans[place])].strip()

        time = parse_time(line, spans[self.at["time"]]) if "time" in self.at else parse_time(line, (0, 0))
        if time is None:
            return BAD_TIME
        digits = (_DECIMAL if self.decimal else _HEX).fullmatch(field("id"))
        if digits is None:
            return NOT_A_FRAME
        identifier = parse_identifier(digits[digits.lastindex or 0], decimal=self.decimal)
        if identifier is None:
            return BAD_IDENTIFIER
        text = field("data")
        dlc_text = field("dlc")
        if dlc_text == b"0" and text == b"0":  # what a data set writes for no data
            text = b""
        if not _BYTES.fullmatch(text):
            return BAD_DATA
        data = bytes.fromhex(text.decode())
        if dlc_text and dlc_text not in b"012345678":
            return BAD_DLC
        if dlc_text and len(data) != int(dlc_text):
            return LENGTH_MISMATCH
        flag, name = field("flag").decode("latin-1"), field("name").decode("latin-1")
        identifier_end = spans[self.at["id"]][1]
        return Line(
            time=time,
            identifier=identifier,
            data=data,
            dlc=len(data),
            attack=attack_of(flag, name, injected=self.injected),
            identifier_span=(identifier_end - len(digits[digits.lastindex or 0]), identifier_end),
            data_span=spans[self.at["data"]] if data else (0, 0),
            free_spans=tuple(spans[place] for place in self.free),
        )
