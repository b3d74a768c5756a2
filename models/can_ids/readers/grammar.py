"""What a text format is to the readers: a function that understands one line, and says what stands where."""

from __future__ import annotations

import calendar
import datetime
import math
import re
from dataclasses import dataclass
from typing import Protocol

from models.can_ids.frames import Attack

__all__ = [
    "BAD_DATA",
    "BAD_DLC",
    "BAD_IDENTIFIER",
    "BAD_TIME",
    "ERROR_FRAME",
    "EXTENDED_MAX",
    "LENGTH_MISMATCH",
    "NOT_A_FRAME",
    "STANDARD_MAX",
    "Grammar",
    "Identifier",
    "Line",
    "Time",
    "byte_span",
    "parse_identifier",
    "parse_time",
]

STANDARD_MAX, EXTENDED_MAX = 0x7FF, 0x1FFFFFFF
# Reasons for dropping a line.
NOT_A_FRAME = "not a frame"
ERROR_FRAME = "error frame"
BAD_IDENTIFIER = "identifier out of range"
BAD_TIME = "time stamp that is no time"
BAD_DLC = "DLC that is not 0 to 8"
BAD_DATA = "data bytes that are no bytes, or more than eight"
LENGTH_MISMATCH = "number of data bytes differs from the DLC"

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Time:
    """A time stamp, and which characters spell it: the digits in `span`, over 10**`fraction_digits`."""

    seconds: float
    span: Span | None = None  #: None where only the exact path can read it
    fraction_digits: int = 0
    base: int = 0  #: whole seconds to add, from a date outside the span


NO_TIME = Time(math.nan, (0, 0))


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier, and how it was told whether it has 11 or 29 bits."""

    value: int
    extended: bool
    by_value: bool = False  #: the value told it, not the width
    decimal: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One frame read from one line. The spans make it a template for lines that differ only there."""

    time: Time
    identifier: Identifier
    data: bytes
    dlc: int
    remote: bool = False
    attack: int = Attack.BENIGN
    identifier_span: Span = (0, 0)
    data_span: Span = (0, 0)
    free_spans: tuple[Span, ...] = ()  #: text that means nothing here, free of commas and quotes


class Grammar(Protocol):
    """A line-oriented format."""

    name: str

    def parse(self, line: bytes) -> Line | str:
        """The frame, or the reason for dropping the line; an empty reason for a line with nothing to drop."""


_NUMBER = re.compile(rb"(-?)(\d+)(?:\.(\d*))?")
_DATE = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)\.(\d{1,9})")


def parse_time(line: bytes, span: Span) -> Time | None:
    """Seconds, or a date taken as UTC; None if it is neither."""
    start, end = span
    if start < 0 or start == end:
        return NO_TIME
    number = _NUMBER.fullmatch(line, start, end)
    if number:
        sign, _, fraction = number.groups()
        where = None if sign else span
        return Time(float(line[start:end]), where, len(fraction or b""))
    date = _DATE.fullmatch(line, start, end)
    if date:
        return _parse_date(date)
    try:
        seconds = float(line[start:end])
    except ValueError:
        return None
    return Time(seconds) if math.isfinite(seconds) else None


def _parse_date(date: re.Match[bytes]) -> Time | None:
    year, month, day, hour, minute, second = (int(part) for part in date.groups()[:6])
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    base = calendar.timegm(moment.timetuple())
    fraction = date[7]
    scale = 10 ** len(fraction)
    return Time((base * scale + int(fraction)) / scale, date.span(7), len(fraction), base)


def parse_identifier(digits: bytes, *, decimal: bool = False) -> Identifier | None:
    """Eight hex digits are 29 bits, as candump has it; otherwise the value decides. None for more bits.

    Three digits are not proof of 11 bits: the ROAD captures hold identifiers up to FFF.
    """
    by_value = decimal or len(digits) != 8
    value = int(digits, 10 if decimal else 16)
    if value > EXTENDED_MAX:
        return None
    return Identifier(value, not by_value or value > STANDARD_MAX, by_value, decimal)


def byte_span(match: re.Match[bytes], group: str) -> Span:
    """The span of a group as positions in the line; an empty one where the group took no part."""
    start, end = match.span(group)
    return (start, end) if start >= 0 else (0, 0)
