"""What the compiler works on: layers of the engine, the maps they read and write, and where these lie."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hw.tile.folding import Fold
from models.program.ops import Op

__all__ = ["Addend", "Buffer", "Layer", "Lowered", "Plane", "View"]


@dataclass(eq=False)
class Buffer:
    """Planes that one layer writes, or the host."""

    name: str
    planes: int
    height: int
    width: int
    born: int = -1  #: layer that writes it first; -1: the host
    dies: int = -1  #: last layer that reads it
    offset: int = 0  #: bytes; in the arena, or among the maps kept on chip
    kept_rows: int = 0  #: rows that there is room for on chip, which are used in turn; 0: it is in memory
    #: Stored rows that must be complete before a row of it can be read; the schedule fills it in.
    row_stores: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def nbytes(self, channels: int) -> int:
        return self.planes * self.height * self.width * channels

    def words_before(self, plane: int, row: int) -> int:
        """Words from `offset` to the first of a row: on chip, the planes of a row lie beside each other."""
        if self.kept_rows:
            return (row % self.kept_rows * self.planes + plane) * self.width
        return (plane * self.height + row) * self.width

    @property
    def plane_words(self) -> int:
        """From a row of a plane to that of the next."""
        return self.width if self.kept_rows else self.height * self.width

    @property
    def row_words(self) -> int:
        """From a row of a plane to the row below."""
        return self.planes * self.width if self.kept_rows else self.width


@dataclass(frozen=True)
class Plane:
    """One plane of a buffer as a reader sees it."""

    buffer: Buffer
    index: int
    channels: tuple[int, ...]  #: the tensor's channel in each lane, -1 for none
    zero: int = 0  #: the byte that stands for 0
    twice: bool = False  #: each element seen twice, down and across
    high_bytes: tuple[int, ...] = ()  #: indices of the planes with the higher bytes of a raw sum


@dataclass(frozen=True)
class View:
    """A tensor as planes."""

    planes: tuple[Plane, ...]
    height: int
    width: int

    @property
    def lanes(self) -> np.ndarray:
        """The channel in each lane of each plane, flat."""
        return np.array([channel for plane in self.planes for channel in plane.channels])

    @property
    def zeros(self) -> np.ndarray:
        return np.array([plane.zero for plane in self.planes for _ in plane.channels])


@dataclass(frozen=True)
class Addend:
    """A map that is added to a layer's results on their way out: `clip((result + it + offset) / d)`."""

    view: View
    offset: int
    halves: bool  #: `d` is 2, ties to even, else 1
    low: int
    high: int


@dataclass(eq=False, kw_only=True)
class Layer:
    """One pass of the engine over a map."""

    op: Op
    name: str
    source: View
    output: Buffer
    first_plane: int  #: of the output
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    fold: Fold  #: of the words that the feature banks hold
    #: (digits, out channels, lanes of the source, kernel height, width); None: maximum
    digits: np.ndarray | None
    bias: np.ndarray  #: a channel of the output, zero points and the array's excess made up for
    shift: np.ndarray
    low: int = 0
    high: int = 255
    raw: bool = False
    fill: int | None = None  #: what padding reads as, where it is not zero
    macs: int = 0
    windowed: bool = False  #: each output sees its own channel only, and all taps of it at once
    addend: Addend | None = None

    @property
    def digit_count(self) -> int:
        """Passes over a window."""
        return 1 if self.digits is None else len(self.digits)

    @property
    def added(self) -> tuple[Plane, ...]:
        """The planes that are added to its results."""
        return self.addend.view.planes if self.addend else ()

    @property
    def read(self) -> list[Buffer]:
        """The maps that it reads, each once."""
        return list(dict.fromkeys(plane.buffer for plane in self.source.planes + self.added))


@dataclass
class Lowered:
    layers: list[Layer]
    buffers: list[Buffer]
    input: View
    outputs: list[View]

    def settle_lifetimes(self) -> None:
        """Say of each buffer when it lives, by the layers as they are now."""
        for buffer in self.buffers:
            buffer.born = buffer.dies = -1
        for index, layer in reversed(list(enumerate(self.layers))):
            layer.output.born = index
        for index, layer in enumerate(self.layers):
            layer.output.dies = max(layer.output.dies, index)
            for buffer in layer.read:
                buffer.dies = index
        for plane in (plane for view in self.outputs for plane in view.planes):
            plane.buffer.dies = len(self.layers)
