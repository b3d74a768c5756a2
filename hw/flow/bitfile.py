"""The container of a Xilinx bitstream (.bit), as pynq parses it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from hw.flow.tools import FlowError

__all__ = ["BitFile"]

_PREAMBLE = bytes.fromhex("00090ff00ff00ff00ff0000001")
_SYNC = bytes.fromhex("aa995566")
_TEXTS = {"a": "design", "b": "part", "c": "date", "d": "time"}


@dataclass(frozen=True, kw_only=True)
class BitFile:
    """Header and configuration data."""

    design: str  #: name and remarks, separated by semicolons
    part: str
    date: str
    time: str
    body: bytes

    @classmethod
    def parse(cls, content: bytes, *, name: str) -> BitFile:
        """Refuses what is no whole .bit, for instance one that a killed program left."""
        texts: dict[str, str] = {}
        offset = len(_PREAMBLE)
        if content[:offset] != _PREAMBLE:
            raise FlowError(f"{name} is no .bit file: it does not begin as one")
        try:
            while (key := chr(content[offset])) in _TEXTS:
                (length,) = struct.unpack_from(">H", content, offset + 1)
                texts[_TEXTS[key]] = content[offset + 3 : offset + 3 + length].decode("ascii").rstrip("\0")
                offset += 3 + length
            (length,) = struct.unpack_from(">I", content, offset + 1)
        except (IndexError, struct.error, UnicodeDecodeError):
            raise FlowError(f"{name} is no .bit file: its header ends early; build it again") from None
        body = content[offset + 5 :]
        if key != "e" or len(texts) != len(_TEXTS):
            raise FlowError(f"{name} is no .bit file: its header lacks a field; build it again")
        if len(body) != length:
            raise FlowError(
                f"{name} has {len(body)} bytes of data where its header says {length}; build it again"
            )
        if _SYNC not in body[:256]:
            raise FlowError(f"{name} holds no configuration data (no synchronisation word)")
        return cls(**texts, body=body)

    def stamped(self, *, design: str, digest: str) -> BitFile:
        """The same data under the design's own name.

        pynq names its cache of metadata by the .bit alone, so the digest stands in it; the date does not, so
        that the same sources give the same file.
        """
        return replace(self, design=f"{design};digest={digest}", date="1970/01/01", time="00:00:00")

    def to_bytes(self) -> bytes:
        content = _PREAMBLE
        for key, field in _TEXTS.items():
            text = getattr(self, field).encode("ascii") + b"\0"
            content += key.encode() + struct.pack(">H", len(text)) + text
        return content + b"e" + struct.pack(">I", len(self.body)) + self.body
