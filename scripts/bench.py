"""`colonnade bench`: the speed of the simulated board beside cocotb, or of our engine beside peers."""

from __future__ import annotations

from pathlib import Path

import typer


def command(
    peers: bool = typer.Option(False, help="Compare the tile engine with NNgen on one layer instead."),
    engine: str = typer.Option("sim", help="With --peers: our preset."),
    inputs: int = typer.Option(4, min=1, help="With --peers: NNgen's input channels side by side."),
    outputs: int = typer.Option(4, min=1, help="With --peers: NNgen's output channels side by side."),
    python: Path = typer.Option(
        Path("build/peers/bin/python"), help="With --peers: a Python that has NNgen."
    ),
) -> None:
    """Simulate the same overlay on the simulated board and under cocotb, and compare cycles per second.

    Example: `colonnade bench`, or `colonnade bench --peers` after `make bench-peers` has installed NNgen
    """
    if peers:
        _peers(engine=engine, inputs=inputs, outputs=outputs, python=python)
    else:
        _speed()


def _peers(*, engine: str, inputs: int, outputs: int, python: Path) -> None:
    from rich.console import Console

    from scripts.bench_peers import compared, measure, table
    from scripts.figures import record
    from sim.peers.layer import PeerLayer
    from sim.peers.nngen_peer import NngenError

    console = Console()
    try:
        found = measure(engine=engine, python=python, inputs=inputs, outputs=outputs, console=console)
    except (NngenError, ValueError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    macs = PeerLayer().macs
    console.print(table(found, macs))
    console.print(f"written to {record('bench_peers', compared(found, macs))}", soft_wrap=True)
    if any(one.mismatches for one in found):
        console.print("some results are wrong, so the cycles mean nothing", style="red")
        raise typer.Exit(1)


def _speed() -> None:
    from rich.console import Console
    from rich.table import Table

    from scripts.figures import record
    from sim.campaigns.speed import board_speed, cocotb_speed

    console = Console()
    with console.status("cocotb and Verilator"):
        bench = cocotb_speed()
    with console.status("simulated board"):
        board = board_speed()
    speedup = board.cycles_per_s / bench.cycles_per_s
    table = Table("the copy overlay on", "cycles", "CPU s", "cycles/s", "times", title="Speed of simulation")
    for name, speed in (("cocotb, cocotbext-axi", bench), ("the simulated board, pynq driver", board)):
        table.add_row(
            name,
            f"{speed.cycles:,}",
            f"{speed.cpu_seconds:.2f}",
            f"{speed.cycles_per_s:,.0f}",
            f"{speed.cycles_per_s / bench.cycles_per_s:,.1f}",
        )
    console.print(table)
    path = record(
        "bench",
        {
            "board.cycles_per_s": board.cycles_per_s,
            "board.cocotb_cycles_per_s": bench.cycles_per_s,
            "board.speedup_over_cocotb": speedup,
        },
    )
    console.print(f"written to {path}")
