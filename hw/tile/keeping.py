"""Which maps never travel to memory: layers that take turns row by row, and maps that are small.

A map that one layer makes for the next alone needs room for a few rows only, if both take turns: the reader
works on a row while the writer makes the one after. Any other map is kept while it lives if there is room for
all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hw.tile.layers import Buffer
from hw.tile.parts import SHARE_MOST, part_words
from hw.tile.placing import place
from hw.tile.preset import Preset
from hw.tile.tiling import Cut

__all__ = ["AHEAD_ROWS", "Turn", "keep", "span", "take_turns"]

#: Rows that a layer is ahead of the row that its reader loads, so that loads need not wait for it.
AHEAD_ROWS = 1
RING_ROWS = AHEAD_ROWS + 1
#: Columns of a pixel lane, of a row that takes long enough to make for loads of the one before to be hidden.
LEAST_COLUMNS = 4


@dataclass(frozen=True)
class Turn:
    """Neighbouring layers whose rows are made in turns, each with its part of the feature banks."""

    first: int
    layers: int

    @property
    def share(self) -> int:
        """How often the banks are cut in half."""
        return (self.layers - 1).bit_length()

    @property
    def indices(self) -> range:
        return range(self.first, self.first + self.layers)


def take_turns(cuts: list[Cut], preset: Preset) -> list[Turn]:
    """Every layer joins the one before where both can, and where their weights and rows fit together."""
    turns: list[Turn] = []
    for index in range(len(cuts)):
        if turns:
            longer = Turn(turns[-1].first, turns[-1].layers + 1)
            if _can_take_turns(cuts, longer, preset):
                turns[-1] = longer
                continue
        turns.append(Turn(index, 1))
    for turn in turns:
        for index in turn.indices[:-1]:
            cuts[index].layer.output.kept_rows = min(RING_ROWS, cuts[index].layer.output.height)
    return turns


def _can_take_turns(cuts: list[Cut], turn: Turn, preset: Preset) -> bool:
    """Whether the last layer of `turn` can join the others, which can."""
    reader, writer = cuts[turn.indices[-1]], cuts[turn.indices[-2]]
    made = writer.layer.output
    only = made.dies == turn.indices[-1] and sum(made in each.layer.read for each in cuts) == 1
    is_added = made in {plane.buffer for plane in reader.layer.added}
    members = [cuts[index] for index in turn.indices]
    rings = [cuts[index].layer.output for index in turn.indices[:-1]]
    return (
        turn.share <= SHARE_MOST
        and made.width >= LEAST_COLUMNS * preset.pixels
        and only
        and not is_added
        and all(each.flows_through(part_words(preset.feature_words, turn.share)) for each in members)
        and sum(each.weight_words for each in members) <= preset.weight_words
        and sum(_words(ring, RING_ROWS) for ring in rings) <= preset.kept_words
    )


def span(buffer: Buffer, turns: list[Turn]) -> tuple[int, int]:
    """The first and the last turn in which a buffer lives; the host is before and after all."""
    return _turn_of(buffer.born, turns), _turn_of(buffer.dies, turns)


def _turn_of(layer: int, turns: list[Turn]) -> int:
    return next((number for number, turn in enumerate(turns) if layer < turn.first + turn.layers), len(turns))


def keep(buffers: Iterable[Buffer], turns: list[Turn], preset: Preset) -> None:
    """Give rows of layers that take turns their places on chip, then whole maps, as long as there is room."""
    kept = [buffer for buffer in buffers if buffer.kept_rows]
    whole = [each for each in buffers if _may_stay(each, turns, preset)]
    for buffer in sorted(whole, key=lambda each: _cost(each, turns)):
        buffer.kept_rows = buffer.height
        if _settle([*kept, buffer], turns, preset) <= preset.kept_words:
            kept.append(buffer)
        else:
            buffer.kept_rows = 0
    _settle(kept, turns, preset)


def _may_stay(buffer: Buffer, turns: list[Turn], preset: Preset) -> bool:
    inside = buffer.born >= 0 and buffer.dies < turns[-1].first + turns[-1].layers
    return inside and not buffer.kept_rows and _words(buffer, buffer.height) <= preset.kept_words


def _cost(buffer: Buffer, turns: list[Turn]) -> int:
    """Room times time."""
    born, dies = span(buffer, turns)
    return _words(buffer, buffer.height) * (dies - born + 1)


def _words(buffer: Buffer, rows: int) -> int:
    return buffer.planes * buffer.width * rows


def _settle(kept: list[Buffer], turns: list[Turn], preset: Preset) -> int:
    """Place them; return the words that takes."""
    sizes = [_words(buffer, buffer.kept_rows) for buffer in kept]
    offsets = place(sizes, [span(buffer, turns) for buffer in kept])
    for buffer, offset in zip(kept, offsets, strict=True):
        buffer.offset = offset * preset.channels
    return max((offset + size for offset, size in zip(offsets, sizes, strict=True)), default=0)
