"""`colonnade bundle`: one archive to copy to a board."""

from __future__ import annotations

import typer


def command(
    board: str = typer.Option(..., help="Name of the board; `colonnade boards` lists them."),
    overlay: list[str] = typer.Option([], help="Overlay to pack, again for more; else all that are built."),
    simulation: bool = typer.Option(False, help="Pack placeholders for bitstreams, marked as such."),
) -> None:
    """Pack bitstreams, .hwh, models, host software and an installer for a PYNQ image.

    Example: `colonnade bundle --board PYNQ-Z2`
    """
    from rich.console import Console

    from hw.boards.catalog import board_named
    from hw.flow.bundle import make_bundle
    from hw.flow.tools import FlowError

    try:
        bundle = make_bundle(board_named(board), overlay, simulation=simulation)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: no bundle was made", style="red")
        raise typer.Exit(130) from None
    except (FlowError, ValueError, OSError) as error:
        notes = Console(stderr=True)
        notes.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    console = Console()
    console.print(f"{bundle.path}, {bundle.path.stat().st_size:,} bytes", soft_wrap=True)
    console.print(f"{len(bundle.files)} files; on the board: tar xf, then ./install.sh as root")
    if bundle.simulation_only:
        console.print("for simulation only: it holds placeholders instead of bitstreams", style="yellow")
