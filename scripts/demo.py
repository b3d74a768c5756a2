"""`colonnade demo`: the whole product on a board that is not there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import typer

from scripts import evaluate, report, simulate

ROOT = Path(__file__).parents[1]
DEMOS = ROOT / "host" / "demos"
#: Demos and their overlays, in the order in which a newcomer should see them.
ACTS = {"copy": "copy", "ids": "ids", "detect": "tile"}
#: Canvas of the detector on the simulated engine: a frame takes seconds.
DETECTOR_SIZE = (64, 64)
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
    for act, overlay in ACTS.items():
        console.print(Rule(f"[bold]{act}[/bold]: Amaranth gateware in Verilator, behind the real pynq"))
        console.print("The first run compiles the simulator, for about half a minute.", style="dim")
        started = time.monotonic()
        simulate.command(
            script=DEMOS / f"{act}.py",
            arguments=[str(_detector_binary())] if act == "detect" else [],
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


def _detector_binary() -> Path:
    """The detector of the zoo, compiled for the engine that is simulated."""
    from hw.tile.compile import compile_program
    from models.detector.cost import resized
    from models.detector.zoo import detector_names, load_detector

    program = resized(load_detector(detector_names()[-1]).program, DETECTOR_SIZE)
    path = ROOT / "build" / "demo" / "detector.tile"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compile_program(program, "sim").binary)
    return path


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
