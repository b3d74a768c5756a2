"""`colonnade area`: what the intrusion path costs, beside what others published for the same networks."""

from __future__ import annotations

from scripts.figures import record


def command() -> None:
    """Synthesise the whole path from pin to verdict, the published network in it, and the peers' network.

    Example: `colonnade area`
    """
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from hw.ids.comparison import points

    console = Console()
    table = Table("design", "family", "cycles", "LUT", "FF", "RAMB36", "DSP", title="area by yosys")
    figures: dict[str, float] = {}
    for point in track(points(), "synthesis", total=7, console=console):
        area, prefix = point.area, f"ids.{point.name}"
        table.add_row(
            point.name,
            point.family,
            f"{point.cycles:,}",
            f"{area.lut:,}",
            f"{area.ff:,}",
            f"{area.ramb36:g}",
            f"{area.dsp}",
        )
        figures |= {
            f"{prefix}.lut_{point.family}": area.lut,
            f"{prefix}.ff_{point.family}": area.ff,
            f"{prefix}.ramb36": area.ramb36,
            f"{prefix}.dsp": area.dsp,
            f"{prefix}.verdict_cycles": point.cycles,
        }
    console.print(table)
    console.print(f"written to {record('area', figures)}")
