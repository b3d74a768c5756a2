"""What the compiler foresees of a network: a line a layer, and the roofline that the layers stand under."""

from __future__ import annotations

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
    read, write = sum(cost.read_bytes for cost in costs), sum(cost.write_bytes for cost in costs)
    kept = sum(cost.kept_bytes for cost in costs)
    return [
        f"{macs / 1e6:.2f}",
        f"{cycles:,}",
        f"{macs / preset.lanes / max(cycles, 1):.1%}",
        *(f"{moved / 1024:,.0f}" for moved in (read, write, kept)),
    ]


def summary(compiled: Compiled) -> str:
    """What all of it takes."""
    costs = compiled.costs
    count, least = sum(cost.instructions for cost in costs), sum(cost.compulsory_bytes for cost in costs)
    moved = sum(cost.read_bytes + cost.write_bytes for cost in costs)
    return (
        f"{count:,} instructions, {len(compiled.binary):,} bytes of binary, {compiled.arena_bytes:,} bytes of "
        f"arena; {moved:,} bytes through memory, {moved / least:.3f} of the least"
    )


def roofline(compiled: Compiled, path: Path) -> None:
    """Multiply-accumulates a cycle over multiply-accumulates a byte, with the engine's two limits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    lanes, bus = compiled.preset.lanes, compiled.preset.channels
    used = [cost for cost in compiled.costs if cost.macs]
    intensity = [cost.macs / (cost.read_bytes + cost.write_bytes) for cost in used]
    axes.loglog(intensity, [cost.macs / cost.cycles for cost in used], "o")
    for cost, x in zip(used, intensity, strict=True):
        axes.annotate(cost.name, (x, cost.macs / cost.cycles), fontsize=6)
    span = [min([*intensity, 1]) / 2, max([*intensity, lanes / bus]) * 2]
    axes.loglog(span, [min(x * bus, lanes) for x in span], alpha=0)
    axes.loglog([span[0], lanes / bus, span[1]], [span[0] * bus, lanes, lanes], "k-")
    axes.set_xlabel("multiply-accumulates a byte")
    axes.set_ylabel("multiply-accumulates a cycle")
    axes.set_title(f"engine {compiled.preset.name}: {lanes} lanes, {bus} bytes a cycle each way")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
