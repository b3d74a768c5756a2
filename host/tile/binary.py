"""The compiled binary of a network: checked, and with maps packed into and out of the engine's planes."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = ["BinaryError", "TileBinary"]

MAGIC = b"COLNTILE"


class BinaryError(ValueError):
    """A file that is no sound binary, or one for another engine."""


@dataclass
class TileBinary:
    """Header, instructions and weights."""

    header: dict
    code: bytes = field(repr=False)
    weights: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path | str) -> TileBinary:
        return cls.parse(Path(path).read_bytes(), name=str(path))

    @classmethod
    def parse(cls, content: bytes, *, name: str = "binary") -> TileBinary:
        if content[:8] != MAGIC:
            raise BinaryError(f"{name}: does not begin as a tile binary; make one with `colonnade compile`")
        if len(content) < 16 or zlib.crc32(content[:-4]) != int.from_bytes(content[-4:], "little"):
            raise BinaryError(
                f"{name}: the checksum is wrong: truncated or damaged; copy or compile it again"
            )
        size = int.from_bytes(content[8:12], "little")
        header = json.loads(content[12 : 12 + size])
        code_end = 12 + size + header["code_bytes"]
        return cls(header, content[12 + size : code_end], content[code_end:-4])

    @property
    def arena_bytes(self) -> int:
        return self.header["arena_bytes"]

    def check_target(self, engine: str, target_hash: str) -> None:
        if int(target_hash, 0) != int(self.header["target_hash"], 16):
            raise BinaryError(
                f"program {self.header['program']!r} was compiled for the engine "
                f"{self.header['engine']!r} ({self.header['target_hash']}), and {engine!r} "
                f"({target_hash}) is loaded; compile it for that"
            )

    def write_input(self, arena: np.ndarray, values: np.ndarray) -> None:
        """Put one sample, integers `(channels, height, width)` or `(features,)`, into the arena."""
        view, lanes = self.header["input"], self.header["channels"]
        if list(values.shape) != view["tensor"]:
            raise ValueError(
                f"program {self.header['program']!r}: the input must have shape {tuple(view['tensor'])!r}, "
                f"not {values.shape!r}"
            )
        maps = np.asarray(values).reshape(values.shape[0], view["height"], view["width"])
        for plane in view["planes"]:
            used = [channel for channel in plane["channels"] if channel >= 0]
            words = _words(arena, plane["bytes_at"][0], view, lanes)
            words[..., : len(used)] = (maps[used] + plane["zero"]).transpose(1, 2, 0)

    def read_outputs(self, arena: np.ndarray) -> list[np.ndarray]:
        return [self.read_view(arena, view) for view in self.header["outputs"]]

    def read_view(self, arena: np.ndarray, view: dict) -> np.ndarray:
        """The integers of a tensor, int64."""
        lanes = self.header["channels"]
        result = np.zeros((view["tensor"][0], view["height"], view["width"]), np.int64)
        for plane in view["planes"]:
            total = np.zeros((view["height"], view["width"], lanes), np.int64)
            for index, place in enumerate(plane["bytes_at"]):
                total += _words(arena, place, view, lanes).astype(np.int64) << 8 * index
            bits = 8 * len(plane["bytes_at"])
            if bits > 8:
                total = np.where(total >= 1 << bits - 1, total - (1 << bits), total)
            used = [lane for lane, channel in enumerate(plane["channels"]) if channel >= 0]
            channels = [plane["channels"][lane] for lane in used]
            result[channels] = total[..., used].transpose(2, 0, 1) - plane["zero"]
        return result.reshape(view.get("shape", view["tensor"]))


def _words(arena: np.ndarray, place: int, view: dict, lanes: int) -> np.ndarray:
    size = view["height"] * view["width"] * lanes
    return arena[place : place + size].reshape(view["height"], view["width"], lanes)
