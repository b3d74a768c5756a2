"""`colonnade demo`: the whole product on a board that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import typer

from scripts import evaluate, report, simulate

DEMOS = Path(__file__).parents[1] / "host" / "demos"
#: The overlays with a demo, in the order in which a newcomer should see them.
ACTS = ("copy", "ids")
SCREEN_COLUMNS = 110


def command(
    picture: Path | None = typer.Option(None, help="Also write what is on the screen to this .svg file."),
) -> None:
    """Judge generated traffic with a model, then run every host demo, unchanged, on the simulated board.

    Example: `colonnade demo --picture docs/demo.svg`
    """
    if picture is not None:
        _photograph(picture)
        return
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
    console.print(Rule("[bold]report[/bold]: everything that was measured, in one page"))
    console.print(f"report: {report.write_report()}", soft_wrap=True)


def _photograph(picture: Path) -> None:
    """Run the demo once more in a process of its own, whose screen is known, and draw that screen."""
    from rich.console import Console
    from rich.text import Text

    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(SCREEN_COLUMNS)}
    program = [sys.executable, "-m", "scripts.main", "demo"]
    done = subprocess.run(program, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
    console = Console(record=True, width=SCREEN_COLUMNS)
    console.print(Text.from_ansi(done.stdout))
    console.save_svg(str(picture), title="make demo")
