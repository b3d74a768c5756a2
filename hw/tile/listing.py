"""What the compiler foresees of a network: a line a layer, and the roofline that the layers stand under."""

from __future__ import annotations

from pathlib import Path

from hw.tile.compile import Compiled
from hw.tile.preset import Preset
from hw.tile.schedule import LayerCost

__all__ = ["roofline", "table"]

COLUMNS = (
    "layer", "dataflow", "turn", "strips", "columns", "rows", "MMAC", "cycles", "lane use", "read KiB",
    "write KiB", "on chip KiB", "traffic", "instructions",
)  # fmt: skip


def table(compiled: Compiled) -> list[list[str]]:
    """A row a layer in the order of `COLUMNS`, then the sum. Layers of one turn make their rows in turns."""
    rows = []
    for cost in compiled.costs:
        tiling = cost.tiling
        cut = (str(tiling.strips), str(tiling.columns * compiled.preset.pixels), str(tiling.rows))
        rows.append(
            [cost.name, _dataflow(cost), str(cost.turn + 1), *cut, *_figures([cost], compiled.preset)]
        )
    return [*rows, ["all", *[""] * 5, *_figures(compiled.costs, compiled.preset)]]


def _dataflow(cost: LayerCost) -> str:
    """What stays for the layer, what words hold where they are not a pixel each, and what is made besides."""
    stays = "weights resident" if cost.tiling.resident else "features resident"
    folded = f", {cost.folded} pixels a word" if cost.folded > 1 else ""
    return stays + folded + ", windows" * cost.windowed + ", adds" * cost.adds


def _figures(costs: list[LayerCost], preset: Preset) -> list[str]:
    macs, cycles = sum(cost.macs for cost in costs), sum(cost.cycles for cost in costs)
    read, write = sum(cost.read_bytes for cost in costs), sum(cost.write_bytes for cost in costs)
    kept = sum(cost.kept_bytes for cost in costs)
    least = sum(cost.compulsory_bytes for cost in costs)
    return [
        f"{macs / 1e6:.2f}",
        f"{cycles:,}",
        f"{macs / preset.lanes / max(cycles, 1):.1%}",
        *(f"{moved / 1024:,.1f}" for moved in (read, write, kept)),
        f"{(read + write) / least:.3f}",
        str(sum(cost.instructions for cost in costs)),
    ]


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
