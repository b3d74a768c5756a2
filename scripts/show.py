"""`colonnade show`: what a model is as an integer program."""

from __future__ import annotations

from pathlib import Path

import typer


def command(
    model: Path = typer.Argument(..., help="A QONNX file, for instance one under models/zoo."),
    picture: Path | None = typer.Option(None, help="Also draw the graph into this .png, .svg or .pdf."),
    style: str = typer.Option("auto", help="How quantisers are written: auto, thresholds or requantise."),
    finn: bool = typer.Option(
        False, help="Also say what would keep the model out of FINN's dataflow partition."
    ),
) -> None:
    """List a model's layers with shapes, bits, multiply-accumulates and weight bytes.

    Example: `colonnade show models/zoo/can_ids_ours.onnx --picture build/ours.png`
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from models.program import load
    from models.program.listing import draw, rows, totals

    console, errors = Console(), Console(stderr=True)
    try:
        program = load(model, style=style)
    except (OSError, ValueError) as error:
        errors.print(f"[red]cannot show {escape(str(model))}:[/] {escape(str(error))}")
        raise typer.Exit(1) from None
    table = Table(title=f"{program.name}  sha256 {program.digest[:16]}")
    table.add_column("layer", overflow="fold")
    table.add_column("kind", no_wrap=True)
    table.add_column("detail")
    for heading in ("shape", "integers", "MACs", "bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows(program):
        counts = [f"{row.macs:,}" if row.macs else "", f"{row.weight_bytes:,.1f}" if row.weight_bytes else ""]
        table.add_row(*map(escape, (row.name, row.kind, row.detail, row.shape, row.result, *counts)))
    total = totals(program)
    table.add_section()
    table.add_row(
        "total",
        "",
        f"{total['weights']:,} weights",
        "",
        "",
        f"{total['macs']:,}",
        f"{total['weight_bytes']:,.1f}",
    )
    console.print(table)
    for note in program.notes:
        console.print(f"[yellow]note[/] {escape(note)}")
    if finn:
        from models.program.finn_rules import finn_violations

        violations = finn_violations(model)
        console.print(
            "FINN: every layer would be inside the dataflow partition" if not violations else "FINN:"
        )
        for violation in violations:
            console.print(f"  {escape(violation)}")
    if picture is not None:
        try:
            console.print(f"graph drawn in {escape(str(draw(program, picture)))}")
        except (OSError, ValueError) as error:
            errors.print(f"[red]cannot draw {escape(str(picture))}:[/] {escape(str(error))}")
            raise typer.Exit(1) from None
