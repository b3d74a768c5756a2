"""`colonnade resources`: area and speed of everything, without a vendor tool."""

from __future__ import annotations

import json
from pathlib import Path

import typer

TABLE = Path(__file__).parents[1] / "docs" / "resources.md"
HEADING = """# Resources

What each unit, each layer of the shipped networks and each overlay takes. `make resources` writes this page
and build/resources.json; results are kept by the hash of the gateware, so a second run takes seconds.

All areas are yosys 0.70's, before place-and-route: `synth_xilinx` for xc7 (Zynq-7000) and xcup (UltraScale+),
`synth_ecp5` for ECP5, where a carry cell counts as two LUT4 and a 16 x 4 memory as four. Memories in LUTs
are in the LUT column. Fmax is nextpnr's for an ECP5-85F of speed grade 6, the unit between registers: of the
first of three seeds that reaches 100 MHz, else of the fastest, as the build of a bitstream takes it. The
estimate is the one of the folding, for xc7.

"""


def command(
    only: str = typer.Option("", help="Measure only units with this in their name; writes nothing."),
    place: bool = typer.Option(True, help="Also place and route the units that a clock depends on."),
) -> None:
    """Synthesise every unit for three families, and compare with estimates.

    Example: `colonnade resources --only "CAN receiver"`
    """
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from hw.flow.products import deliver
    from hw.flow.resource_table import FAMILIES, Row, largest_error, markdown, measure, stage_rows
    from hw.flow.tools import FlowError
    from hw.flow.unit_catalog import all_units
    from scripts.figures import REPORTS, record

    console, notes = Console(), Console(stderr=True)
    units = [unit for unit in all_units() if only.lower() in unit.name.lower()]
    if not units:
        notes.print(f"no unit has {only!r} in its name", style="red", markup=False)
        raise typer.Exit(1)
    rows: list[Row] = []
    try:
        for unit in track(units, description="synthesis", console=notes, transient=True):
            rows += stage_rows(unit) if unit.pipeline is not None else []
            rows.append(measure(unit, place=place))
    except KeyboardInterrupt:
        notes.print("interrupted: nothing was written; what is measured is kept", style="red")
        raise typer.Exit(130) from None
    except (FlowError, RuntimeError, OSError) as error:
        notes.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    table = Table("unit", *(f"LUT {family}" for family in FAMILIES), "FF", "RAM36", "DSP", "Fmax", "estimate")
    for row in rows:
        xc7 = row.areas["xc7"]
        table.add_row(
            row.name,
            *(f"{row.areas[family].lut:,}" for family in FAMILIES),
            f"{xc7.ff:,}",
            f"{xc7.ramb36:g}",
            f"{xc7.dsp}",
            f"{row.fmax_mhz:.1f}" if row.fmax_mhz else "",
            f"{row.estimate_lut:,.0f} ({row.error:+.0%})" if row.error is not None else "",
        )
    console.print(table)
    if only:
        return
    report = REPORTS.parent / "resources.json"
    text = json.dumps([row.as_dict() for row in rows], indent=2) + "\n"
    try:
        deliver(report.parent, {report.name: text.encode()})
        deliver(TABLE.parent, {TABLE.name: (HEADING + markdown(rows)).encode()})
    except (FlowError, OSError) as error:
        notes.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    worst = largest_error(rows)
    figures = {"resources.estimate_error_max": worst} if worst is not None else {}
    for row in rows:
        key = row.name.replace("-", "_").split(",")[0].replace(" ", "_").lower()
        if row.group == "overlays":
            figures[f"resources.{key}.lut"] = row.areas["xc7"].lut
        if row.fmax_mhz:
            figures[f"resources.{key}.ecp5_fmax_mhz"] = row.fmax_mhz
    console.print(f"written to {record('resources', figures)}, {report} and {TABLE}", soft_wrap=True)
