"""`colonnade bitstream`: an overlay for a board, with whatever tools are installed."""

from __future__ import annotations

from pathlib import Path

import typer


def command(
    board: str = typer.Option(..., help="Name of the board; `colonnade boards` lists them."),
    overlay: str = typer.Option("ids", help="Name of the overlay."),
    flow: str = typer.Option(None, help="ecp5, zynq7000 or vivado; else the first that is installed."),
    clock_mhz: float = typer.Option(None, help="Clock to build for; else the board's."),
    model: Path = typer.Option(None, help="QONNX file whose weights a stand-alone system has built in."),
    seed: int = typer.Option(1, help="Seed of placement."),
) -> None:
    """Build a bitstream and, where the board has a processor, the .hwh beside it.

    Example: `colonnade bitstream --board ULX3S --overlay ids`
    """
    from rich.console import Console

    from hw.boards.board import FlowName, flow_named
    from hw.boards.catalog import board_named
    from hw.flow.bitstream import build_bitstream
    from hw.flow.tools import FlowError

    console = Console()
    try:
        target = board_named(board)
        chosen = flow_named(flow) if flow else None
        with console.status(f"{overlay} for {target.title}, {target.part}"):
            product = build_bitstream(
                target, overlay, flow=chosen, clock_mhz=clock_mhz, model=model, seed=seed
            )
    except KeyboardInterrupt:
        raise _ended(
            "interrupted: nothing was delivered; the same command goes on from finished steps", 130
        ) from None
    except (FlowError, ValueError, OSError) as error:
        raise _ended(str(error), 1) from None
    console.print(f"{product.bitstream}, {product.bitstream.stat().st_size:,} bytes", soft_wrap=True)
    console.print(f"flow {product.flow.value}, {'built' if product.fresh else 'unchanged, nothing was run'}")
    if product.placed is not None:
        console.print(product.placed.sentence, soft_wrap=True)
        cells = ", ".join(f"{count} {cell}" for cell, count in product.placed.cells.items())
        console.print(f"cells: {cells}", soft_wrap=True)
    if product.netlist_hash is not None:
        console.print(f"netlist {product.netlist_hash[:16]}")
    if product.flow is FlowName.ECP5 and product.placed is not None:
        from scripts.figures import record

        figures = {
            "bitstream.ecp5.fmax_mhz": product.placed.reached_mhz,
            "bitstream.ecp5.lut4": product.placed.cells["TRELLIS_COMB"],
        }
        console.print(f"written to {record('bitstream', figures)}", soft_wrap=True)


def _ended(message: str, status: int) -> typer.Exit:
    from rich.console import Console

    notes = Console(stderr=True)
    notes.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(status)
