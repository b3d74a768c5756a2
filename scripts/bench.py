"""`colonnade bench`: the speed of the simulated board beside cocotb."""

from __future__ import annotations


def command() -> None:
    """Simulate the same overlay on the simulated board and under cocotb, and compare cycles per second.

    Example: `colonnade bench`
    """
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
