"""`colonnade simulate`: any host program, unchanged, on a board that is not there."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import typer


def command(
    script: Path = typer.Argument(
        help="A Python program or a notebook (.ipynb) that uses pynq.", exists=True, dir_okay=False
    ),
    arguments: list[str] = typer.Argument(None, help="What the program gets; its options go after a --."),
    overlay: list[str] = typer.Option(..., help="Overlay on the board; give it again for more than one."),
    flavour: str = typer.Option("zynqmp", help="Family of the board's chip: zynqmp or zynq7000."),
    latency: int = typer.Option(40, help="Cycles from a memory request to its answer."),
    stalls: float = typer.Option(0.0, help="Probability, below 1, that a bus channel stalls in a cycle."),
    seed: int = typer.Option(0, help="Seed of the stalls."),
    budget: int = typer.Option(20_000_000, help="Cycles without a register write that count as a hang."),
    trace: Path | None = typer.Option(None, help="Write a waveform here (.vcd)."),
) -> None:
    """Run a host program against the simulated board.

    Example: `colonnade simulate my_program.py --overlay copy --stalls 0.2 --seed 7`
    """
    from rich.console import Console

    from hw.overlay.catalog import OVERLAYS
    from hw.overlay.hwh import Flavour
    from sim.board import BoardError, MemoryModel, simulated_board

    unknown = [name for name in overlay if name not in OVERLAYS]
    if unknown:
        known = ", ".join(OVERLAYS)
        raise typer.BadParameter(
            f"there is no overlay {unknown[0]!r}; there are {known}", param_hint="--overlay"
        )
    flavours = [one.value for one in Flavour]
    if flavour not in flavours:
        raise typer.BadParameter(f"it is {' or '.join(flavours)}, not {flavour!r}", param_hint="--flavour")
    notes = Console(stderr=True)
    try:
        memory = MemoryModel(latency=latency, stalls=stalls, seed=seed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        with simulated_board(
            *overlay, flavour=flavour, memory=memory, budget_cycles=budget, trace=trace
        ) as board:
            try:
                _run(script, arguments or [])
            finally:
                for name, how in board.builds.items():
                    notes.print(f"simulator of {name}: {how}", style="dim")
                notes.print(f"{board.cycles:,} cycles", style="dim")
                if trace is not None:
                    notes.print(f"waveform: {trace}", style="dim")
    except BoardError as error:
        notes.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _run(script: Path, arguments: list[str]) -> None:
    """As `python script arguments...` does, in this process; a notebook as Jupyter's "Run all" does."""
    if script.suffix == ".ipynb":
        _run_notebook(script, arguments)
        return
    argv, path = sys.argv, list(sys.path)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv, sys.path[:] = argv, path


def _run_notebook(script: Path, arguments: list[str]) -> None:
    from host.notebooks.execute import NotebookError, execute_file

    try:
        written = execute_file(script, *map(Path, arguments[:1]))
    except NotebookError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"executed: {written}")
