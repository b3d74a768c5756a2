"""What the compiler foresees of a network: a line a layer, and the roofline that the layers stand under."""

from __future__ import annotations

from pathlib import Path

from hw.tile.compile import Compiled
from hw.tile.schedule import LayerCost

__all__ = ["roofline", "table"]

COLUMNS = (
    "layer", "dataflow", "strips", "columns", "rows", "MMAC", "cycles", "lane use", "read KiB", "write KiB",
    "traffic", "instructions",
)  # fmt: skip


def table(compiled: Compiled) -> list[list[str]]:
    """A row a layer in the order of `COLUMNS`, then the sum."""
    rows, lanes = [], compiled.preset.lanes
    for cost in compiled.costs:
        moved = cost.read_bytes + cost.write_bytes
        rows.append(
            [
                cost.name,
                _dataflow(cost),
                str(cost.tiling.strips),
                str(cost.tiling.columns * compiled.preset.pixels),
                str(cost.tiling.rows),
                f"{cost.macs / 1e6:.2f}",
                f"{cost.cycles:,}",
                f"{cost.macs / lanes / max(cost.cycles, 1):.1%}",
                f"{cost.read_bytes / 1024:,.1f}",
                f"{cost.write_bytes / 1024:,.1f}",
                f"{moved / cost.compulsory_bytes:.3f}",
                str(cost.instructions),
            ]
        )
    macs, cycles = sum(c.macs for c in compiled.costs), sum(c.cycles for c in compiled.costs)
    read, write = sum(c.read_bytes for c in compiled.costs), sum(c.write_bytes for c in compiled.costs)
    least = sum(c.compulsory_bytes for c in compiled.costs)
    rows.append(
        [
            "all", "", "", "", "", f"{macs / 1e6:.2f}", f"{cycles:,}", f"{macs / lanes / max(cycles, 1):.1%}",
            f"{read / 1024:,.1f}", f"{write / 1024:,.1f}", f"{(read + write) / least:.3f}",
            str(sum(c.instructions for c in compiled.costs)),
        ]
    )  # fmt: skip
    return rows


def _dataflow(cost: LayerCost) -> str:
    """What stays, and what words hold where they are not a pixel each."""
    stays = "weights resident" if cost.tiling.resident else "features resident"
    return stays + (f", {cost.folded} pixels a word" if cost.folded > 1 else ", windows" * cost.windowed)


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
