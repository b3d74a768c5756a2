"""How a layer is cut: groups of output channels with their weights, strips of columns, and rows at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw.arith.shift_lane import codes
from hw.tile.depthwise import plane_of, window_codes
from hw.tile.folding import folded
from hw.tile.layers import Layer
from hw.tile.preset import Preset
from models.program.digits import DIGIT_BITS

__all__ = ["Chunk", "Cut", "Tiling", "cut", "tiling_of", "weight_chunks"]


@dataclass(frozen=True)
class Chunk:
    """Weights and biases of one group of output channels."""

    planes: tuple[int, int, int]  #: first plane of the source, or word of a folded row, count, step
    words: int
    data: bytes


@dataclass(frozen=True)
class Tiling:
    """How a layer is cut."""

    strips: int
    columns: int  #: output columns of a pixel lane
    rows: int  #: output rows of a compute
    resident: bool  #: weights stay for the layer; else they pass by for each tile of resident features


@dataclass(frozen=True, eq=False)
class Cut:
    """A layer with its weights in groups, and its tiling."""

    layer: Layer
    chunks: list[Chunk]
    tiling: Tiling

    @property
    def weight_words(self) -> int:
        return sum(chunk.words for chunk in self.chunks)

    @property
    def weight_bytes(self) -> int:
        return sum(len(chunk.data) for chunk in self.chunks)

    @property
    def window(self) -> int:
        """Columns of a feature bank that a row takes."""
        return (self.tiling.columns - 1) * self.layer.stride[1] + self.layer.fold.span

    @property
    def row_words(self) -> int:
        """Of a row of the source in a feature bank."""
        return self.window * len(self.layer.source.planes)

    def flows_through(self, feature_words: int) -> bool:
        """Whether so many words of a bank are enough to walk through its map once, row by row."""
        height, down = self.layer.kernel[0], self.layer.stride[0]
        rows = height + (down if self.layer.output.height > 1 else 0)
        return self.tiling.strips == 1 and rows * self.row_words <= feature_words


def cut(layer: Layer, preset: Preset) -> Cut | str:
    """The layer cut to fit, or which limit it exceeds."""
    chunks = weight_chunks(layer, preset)
    tiling = tiling_of(layer, preset, chunks)
    return tiling if isinstance(tiling, str) else Cut(layer, chunks, tiling)


def weight_chunks(layer: Layer, preset: Preset) -> list[Chunk]:
    """Biases, shifts and weights in the order in which the sequencer reads them."""
    lanes = preset.channels
    chunks = []
    for start in range(0, len(layer.bias), lanes):
        stop = min(start + lanes, len(layer.bias))
        mask = (1 << preset.accumulator_bits) - 1
        first = np.zeros(lanes, "<u4")
        for index, (bias, shift) in enumerate(
            zip(layer.bias[start:stop], layer.shift[start:stop], strict=True)
        ):
            first[index] = (int(bias) & mask) | int(shift) << preset.accumulator_bits
        word_bits = preset.weight_beats * preset.bus_bits
        head = first.tobytes().ljust(word_bits // 8, b"\0")
        if layer.digits is None:
            chunks.append(Chunk((start // lanes, 1, 0), 1, head))
            continue
        digits = layer.digits[:, start:stop]
        if layer.windowed:
            plane = plane_of(digits, preset)
            assert plane is not None
            beats = window_codes(digits, plane, preset)
            packed = _packed(beats.reshape(len(beats), -1), word_bits)
            chunks.append(Chunk((plane, 1, 0), 1 + len(beats), head + packed))
            continue
        if layer.fold.code:
            digits = folded(digits, layer.fold, lanes)
        count, _, _, height, width = digits.shape
        blocks = digits.reshape(count, stop - start, -1, lanes, height, width)
        used = np.flatnonzero(blocks.any(axis=(0, 1, 3, 4, 5)))
        span = _progression(used)
        chosen = blocks[:, :, span[0] : span[0] + span[1] * max(span[2], 1) : max(span[2], 1)]
        padded = np.zeros((count, lanes, *chosen.shape[2:]), np.int64)
        padded[:, : stop - start] = chosen
        ordered = codes(padded).transpose(0, 4, 5, 2, 1, 3)  # digit, row, column, block, output, input
        body = _packed(ordered.reshape(-1, lanes**2), word_bits)
        chunks.append(Chunk(span, 1 + height * width * span[1] * count, head + body))
    return chunks


def _packed(words: np.ndarray, word_bits: int) -> bytes:
    """Rows of codes to weight words."""
    bits = words[:, :, None] >> np.arange(DIGIT_BITS, dtype=np.uint8) & 1
    flat = bits.reshape(len(words), -1)
    filled = np.zeros((len(words), word_bits), np.uint8)
    filled[:, : flat.shape[1]] = flat
    return np.packbits(filled, axis=1, bitorder="little").tobytes()


def _progression(used: np.ndarray) -> tuple[int, int, int]:
    if len(used) == 0:
        return 0, 1, 0
    if len(used) == 2:
        return int(used[0]), 2, int(used[1] - used[0])
    return int(used[0]), int(used[-1] - used[0]) + 1, 1


def tiling_of(layer: Layer, preset: Preset, chunks: list[Chunk]) -> Tiling | str:
    """The tiling that moves the fewest bytes, or which limit the layer exceeds."""
    out, planes = layer.output, len(layer.source.planes)
    (height, width), (down, right) = layer.kernel, layer.stride
    largest, total = max(chunk.words for chunk in chunks), sum(chunk.words for chunk in chunks)
    if largest > preset.weight_words:
        return f"{largest} weight words for {preset.channels} output channels, and {preset.weight_words} fit"
    if max(height, width) > 64 or right > 255:
        return "a kernel of more than 64 or a stride of more than 255"
    resident = total <= preset.weight_words
    best: tuple[float, Tiling] | None = None
    least_row = 0
    for strips in range(1, out.width + 1):
        columns = -(-out.width // (preset.pixels * strips))
        if strips > 1 and columns == -(-out.width // (preset.pixels * (strips - 1))):
            continue
        row = planes * ((columns - 1) * right + layer.fold.span)
        least_row = row
        if columns * preset.pixels > preset.row_words or row >= 1 << 16:
            continue
        if (columns * preset.pixels - 1) * right + layer.fold.reach >= 1 << 12:
            continue
        room = preset.feature_words // row
        used = -(-out.width // (columns * preset.pixels))
        if resident:
            if room >= height + down or (room >= height and out.height == 1):
                return Tiling(used, columns, 1, True)
            continue
        if room < height:
            continue
        rows = max(1, min((room - height) // down + 1, ((room - height) // down + 1) // 2))
        rows = min(rows, out.height, 1024)
        if room >= height + (out.height - 1) * down:
            rows = out.height  # all of it fits
        if rows * down + height > room and rows < out.height and rows > 1:
            rows = 1
        if height + (rows - 1) * down > room:
            continue
        passes = used * -(-out.height // rows)
        tiling = Tiling(used, columns, rows, False)
        if best is None or passes < best[0]:
            best = (passes, tiling)
    if best is None:
        need = least_row * height
        return f"{need} words of features for the narrowest strip, and {preset.feature_words} fit"
    return best[1]
