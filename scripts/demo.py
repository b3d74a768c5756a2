"""`colonnade demo`: the whole product on a board that is not there."""

from __future__ import annotations

import time
from pathlib import Path

from scripts import evaluate, simulate

DEMOS = Path(__file__).parents[1] / "host" / "demos"
#: The overlays with a demo, in the order in which a newcomer should see them.
ACTS = ("copy", "ids")


def command() -> None:
    """Judge generated traffic with a model, then run every host demo, unchanged, on the simulated board.

    Example: `colonnade demo`
    """
    from rich.console import Console
    from rich.rule import Rule

    console = Console()
    console.print(Rule("[bold]model[/bold]: an intrusion model in numpy, on generated traffic new to it"))
    evaluate.demonstrate(console)
    for overlay in ACTS:
        console.print(Rule(f"[bold]{overlay}[/bold]: Amaranth gateware in Verilator, behind the real pynq"))
        console.print("The first run compiles the simulator, for about half a minute.", style="dim")
        started = time.monotonic()
        simulate.command(
            script=DEMOS / f"{overlay}.py",
            arguments=[],
            overlay=[overlay],
            flavour="zynqmp",
            latency=40,
            stalls=0.0,
            seed=0,
            budget=20_000_000,
            trace=None,
        )
        console.print(f"{time.monotonic() - started:.1f} s\n", style="dim")
