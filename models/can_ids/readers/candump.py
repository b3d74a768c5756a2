"""What candump writes: log lines (`-L`) and the view for people, with the decorations seen in the wild."""

from __future__ import annotations

import re

from models.can_ids.frames import Attack
from models.can_ids.readers.grammar import (
    BAD_DATA,
    BAD_IDENTIFIER,
    BAD_TIME,
    ERROR_FRAME,
    LENGTH_MISMATCH,
    NOT_A_FRAME,
    Line,
    Time,
    byte_span,
    parse_identifier,
    parse_time,
)

__all__ = ["CAN_FD", "ERROR_FRAME", "Candump"]

CAN_FD = "CAN FD frame (the features are defined on classical frames)"

#: In the identifier as the Linux kernel gives it, above the 29 bits.
ERROR_FLAG = 0x20000000

_TIME = rb"[ \t]*(?:\((?P<time>[^()]{0,40})\)[ \t]+)?"
_CHANNEL = rb"[^ \t()#]{1,32}"
#: `(1398128223.803317) can0 166#D0320009`, `123##1AABB`, `12345678#R8 T`; 0 or 1 at the end is a label.
_LOG = re.compile(
    _TIME + _CHANNEL + rb"[ \t]+(?P<id>[0-9A-Fa-f]{1,8})#(?P<body>[^ \t]*)(?:[ \t]+(?P<tail>[RTrt01]))?[ \t]*"
)
#: ` (000.000000)  can0  18FEF100   [8]  FF 00 00 FC FF 68 00 CF`; FD has two digits in brackets.
_VIEW = re.compile(
    _TIME
    + _CHANNEL
    + rb"[ \t]+(?:[RT]X [-B] [-E][ \t]+)?(?P<id>[0-9A-Fa-f]{3,8})[ \t]+(?:\[(?P<dlc>\d{1,2})\]|\{[9A-Fa-f]\})"
    + rb"(?P<data>(?:[ \t]+[0-9A-Fa-f]{2}(?![^ \t]))*)[ \t]*(?P<rest>[^ \t].*)?"
)
_REMOTE = re.compile(rb"[Rr]([0-8]?)(?:_[9A-Fa-f])?")
_DATA = re.compile(rb"((?:[0-9A-Fa-f]{2}\.?){0,8})(?:_[9A-Fa-f])?")


class Candump:
    """Log lines and view lines, mixed if need be."""

    name = "candump"

    def parse(self, line: bytes) -> Line | str:
        match = _LOG.fullmatch(line)
        if match:
            return _log(line, match)
        match = _VIEW.fullmatch(line)
        if match:
            return _view(line, match)
        return NOT_A_FRAME if line.strip() else ""


def _log(line: bytes, match: re.Match[bytes]) -> Line | str:
    body = match["body"]
    if body.startswith(b"#"):
        return CAN_FD
    remote = _REMOTE.fullmatch(body)
    if remote:
        return _frame(line, match, data=b"", span=(0, 0), dlc=int(remote[1] or 0), remote=True)
    data = _DATA.fullmatch(body)
    if data is None:
        return BAD_DATA
    octets = bytes.fromhex(data[1].replace(b".", b"").decode())
    start = match.start("body")
    return _frame(line, match, data=octets, span=(start, start + data.end(1)), dlc=len(octets))


def _view(line: bytes, match: re.Match[bytes]) -> Line | str:
    rest = match["rest"] or b""
    if rest.startswith(b"ERRORFRAME"):
        return ERROR_FRAME
    dlc_text = match["dlc"] or b"8"  # {9} to {F}: eight bytes, and a raw DLC above eight
    if len(dlc_text) == 2:
        return CAN_FD
    dlc = int(dlc_text)
    if rest.startswith(b"remote request"):
        return _frame(line, match, data=b"", span=(0, 0), dlc=min(dlc, 8), remote=True)
    if rest and not (rest[0] == rest[-1] and rest[:1] in (b"'", b"`") and len(rest) == dlc + 2):
        return NOT_A_FRAME  # only -a puts anything there: the data as text between quotes
    data = bytes.fromhex(match["data"].decode())
    if len(data) > 8 or dlc > 8:
        return BAD_DATA
    if len(data) != dlc:
        return LENGTH_MISMATCH
    free = ((match.start("rest") + 1, match.end("rest") - 1),) if rest else ()
    return _frame(line, match, data=data, span=byte_span(match, "data"), dlc=dlc, free_spans=free)


def _frame(
    line: bytes,
    match: re.Match[bytes],
    *,
    data: bytes,
    span: tuple[int, int],
    dlc: int,
    remote: bool = False,
    free_spans: tuple[tuple[int, int], ...] = (),
) -> Line | str:
    time: Time | None = parse_time(line, match.span("time"))
    if time is None:
        return BAD_TIME
    digits = match["id"]
    identifier = parse_identifier(digits)
    if identifier is None:
        return ERROR_FRAME if int(digits, 16) & ERROR_FLAG else BAD_IDENTIFIER
    return Line(
        time=time,
        identifier=identifier,
        data=data,
        dlc=dlc,
        remote=remote,
        attack=Attack.OTHER if match.groupdict().get("tail") == b"1" else Attack.BENIGN,
        identifier_span=byte_span(match, "id"),
        data_span=span,
        free_spans=free_spans,
    )
