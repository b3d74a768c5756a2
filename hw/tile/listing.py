"""What the compiler foresees of a network: a line a layer, and the roofline that the layers stand under."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from hw.tile.compile import Compiled
from hw.tile.preset import Preset
from hw.tile.schedule import LayerCost

__all__ = ["COLUMNS", "WORDS", "roofline", "summary", "table"]

#: Layers of one turn make their rows alternately; a tile is so many strips, of so many columns, and rows at a
#: time. What is read, written and kept on chip is in KiB.
COLUMNS = ("layer", "stays", "besides", "turn", "tile", "MMAC", "cycles", "lanes", "read", "write", "kept")
#: Those that hold words.
WORDS = COLUMNS[:3]
#: In the roofline, those that take longest.
NAMED_TURNS = 3


def table(compiled: Compiled) -> list[list[str]]:
    """A row a layer in the order of `COLUMNS`, then the sum."""
    rows = []
    for cost in compiled.costs:
        tiling = cost.tiling
        tile = f"{tiling.strips}x{tiling.columns * compiled.preset.pixels}x{tiling.rows}"
        stays = "weights" if tiling.resident else "features"
        first = [cost.name, stays, _besides(cost), str(cost.turn + 1), tile]
        rows.append([*first, *_figures([cost], compiled.preset)])
    return [*rows, ["all", *[""] * 4, *_figures(compiled.costs, compiled.preset)]]


def _besides(cost: LayerCost) -> str:
    """What the layer does that others do not."""
    said = ["windows"] * cost.windowed + ["adds"] * cost.adds
    return ", ".join([f"{cost.folded} pixels a word"] * (cost.folded > 1) + said)


def _figures(costs: list[LayerCost], preset: Preset) -> list[str]:
    macs, cycles = sum(cost.macs for cost in costs), sum(cost.cycles for cost in costs)
    products = sum(cost.products for cost in costs)
    read, write = sum(cost.read_bytes for cost in costs), sum(cost.write_bytes for cost in costs)
    kept = sum(cost.kept_bytes for cost in costs)
    return [
        f"{macs / 1e6:.1f}",
        f"{cycles:,}",
        f"{products / preset.lanes / max(cycles, 1):.1%}",
        *(f"{moved / 1024:,.0f}" for moved in (read, write, kept)),
    ]


def summary(compiled: Compiled) -> str:
    """What all of it takes."""
    costs = compiled.costs
    count, least = sum(cost.instructions for cost in costs), sum(cost.compulsory_bytes for cost in costs)
    moved = sum(cost.read_bytes + cost.write_bytes for cost in costs)
    said = (
        f"{count:,} instructions",
        f"{len(compiled.binary):,} bytes of binary",
        f"{compiled.arena_bytes:,} of arena",
        f"{moved:,} through memory, {moved / least:.3f} of the least",
    )
    return ", ".join(said)


@dataclass(frozen=True)
class _Turn:
    """Layers that make their rows in turns, and what they take together."""

    name: str
    products: int
    cycles: int
    bytes: int


def _turns(costs: list[LayerCost]) -> list[_Turn]:
    """Those that multiply."""
    turns = []
    for _, layers in groupby(costs, key=lambda cost: cost.turn):
        members = list(layers)
        names = [members[0].name] if len(members) == 1 else [members[0].name, members[-1].name]
        products, cycles = sum(cost.products for cost in members), sum(cost.cycles for cost in members)
        moved = sum(cost.read_bytes + cost.write_bytes for cost in members)
        turns.append(_Turn(" to ".join(names), products, cycles, moved))
    return [turn for turn in turns if turn.products]


def roofline(compiled: Compiled, path: Path) -> None:
    """Products of a digit a cycle over products a byte, with the engine's two limits.

    A dot is a turn: while one of its layers computes, words of another are on their way.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    lanes, bus = compiled.preset.lanes, compiled.preset.channels
    turns = _turns(compiled.costs)
    intensity = [turn.products / turn.bytes for turn in turns]
    axes.loglog(intensity, [turn.products / turn.cycles for turn in turns], "o")
    longest = sorted(turns, key=lambda turn: -turn.cycles)[:NAMED_TURNS]
    for turn in longest:
        place = (turn.products / turn.bytes, turn.products / turn.cycles)
        axes.annotate(turn.name, place, (4, -8), textcoords="offset points", fontsize=6)
    span = [min([*intensity, lanes / bus]) / 4, max([*intensity, lanes / bus]) * 2]
    axes.loglog(span, [min(x * bus, lanes) for x in span], alpha=0)
    axes.loglog([span[0], lanes / bus, span[1]], [span[0] * bus, lanes, lanes], "k-")
    axes.set_xlabel("products of a digit and an activation, a byte through memory")
    axes.set_ylabel("products a cycle")
    axes.set_title(f"engine {compiled.preset.name}: {lanes} lanes, {bus} bytes a cycle each way")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
