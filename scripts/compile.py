"""`colonnade compile`: a network for the tile engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import typer


def command(
    model: Path = typer.Argument(..., exists=True, dir_okay=False, help="A QONNX file."),
    engine: str = typer.Option("z7020", help="Preset: sim, small, z7020, zu3eg or zu7ev."),
    size: str = typer.Option("", help="Canvas of a detector, such as 512 or 640x384; else the model's own."),
    output: Path | None = typer.Option(None, help="Write the binary here, for the driver."),
    roofline: Path | None = typer.Option(None, help="Write the roofline plot here, .svg or .png."),
    disassemble: bool = typer.Option(False, help="Print every instruction."),
) -> None:
    """Compile a model for an engine and list what each layer will cost.

    Example: `colonnade compile model.onnx --engine sim --output model.tile`
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from hw.tile import instruction, listing
    from hw.tile.compile import compile_program
    from models.program import ProgramError, load
    from models.program.graph import ImportRefused

    console = Console()
    try:
        program = load(model, style="requantise")
        if size:
            from models.detector.cost import resized
            from scripts.detect_engines import size_of

            program = resized(program, size_of(size))
        compiled = compile_program(program, engine)
    except (ProgramError, ImportRefused, ValueError) as error:
        said = str(error).removeprefix(f"{model}: ")
        console.print(f"{model}: {said}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if disassemble:
        for number, each in enumerate(instruction.disassemble(compiled.code)):
            console.print(f"{number:6} {each}", highlight=False, markup=False)
    table = Table(title=f"{model.name} on {compiled.preset.name}", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in listing.COLUMNS:
        justify: Literal["left", "right"] = "left" if heading in listing.WORDS else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for row in listing.table(compiled):
        table.add_row(*row)
    console.print(table)
    console.print(listing.summary(compiled), soft_wrap=True)
    try:
        if output is not None:
            output.write_bytes(compiled.binary)
            console.print(f"written to {output}")
        if roofline is not None:
            listing.roofline(compiled, roofline)
            console.print(f"roofline in {roofline}")
    except (OSError, ValueError) as error:
        said = f"the compiled network cannot be written: {error}"
        console.print(said, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
