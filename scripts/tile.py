"""`colonnade tile`: put the tile engine to the test on the simulated board."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import track

from scripts.figures import REPORTS, record

if TYPE_CHECKING:
    from hw.tile.preset import Preset

Keep = Callable[[str, dict[str, float]], None]
Engines = Callable[[str], "Preset"]
#: Preset, side and pictures: many small frames, and whole ones on the presets that have a goal.
DETECTOR_RUNS = ["small:128:20", "z7020:512:2", "zu7ev:512:1"]
#: Fewer are a trial, which does not replace what a campaign found.
LAYERS, NETWORKS = 500, 100


def command(
    layers: int = typer.Option(LAYERS, min=0, help="Random layers."),
    networks: int = typer.Option(NETWORKS, min=0, help="Random small networks."),
    engine: str = typer.Option("small", help="Preset whose lane use is measured; the rest runs on `sim`."),
    use: bool = typer.Option(
        True, help="Measure lane use, traffic and the cost model on the detector-like stack."
    ),
    ports: int = typer.Option(
        0, min=0, max=2, help="Memory ports in place of the preset's: a trial, which records nothing."
    ),
    area: bool = typer.Option(False, help="Synthesise the engine for xc7 too (many minutes)."),
    place: bool = typer.Option(False, help="Place and route it for an ECP5-85F (many minutes)."),
    detector: str = typer.Option(
        "", help="Run this detector of the zoo, or an .onnx file, on pictures instead of everything else."
    ),
    run: list[str] = typer.Option(
        DETECTOR_RUNS, help="PRESET:SIDE:PICTURES of the detector; more than once."
    ),
    data: Path | None = typer.Option(None, help="The data folder, for its pictures."),
) -> None:
    """Run random layers and networks bit for bit, and measure a stack of 1.4 G multiply-accumulates.

    Example: `colonnade tile --layers 50 --networks 10 --no-use`, or
    `colonnade tile --detector nano --run small:128:20`
    """
    from hw.tile.preset import PRESETS, preset

    def chosen(name: str) -> Preset:
        return preset(name).replace(ports=ports) if ports else preset(name)

    def keep(report: str, figures: dict[str, float]) -> None:
        _keep(console, report, figures, trial=ports > 0)

    console = Console()
    if engine not in PRESETS:
        raise typer.BadParameter(f"there is no engine preset {engine!r}; use one of {', '.join(PRESETS)}")
    if detector:
        folder = REPORTS / "trials" if ports else REPORTS
        if _detector(console, detector, run, data, chosen, folder, keep):
            raise typer.Exit(1)
        return
    if area:
        from scripts.tile_area import measure_area

        keep("tile_area", measure_area(chosen(engine)))
    if place:
        from scripts.tile_area import measure_speed

        speed, sentence = measure_speed(chosen(engine))
        console.print(sentence, soft_wrap=True)
        keep(f"tile_place_{engine}", speed)
    failed = _campaign(console, chosen("sim"), layers, networks, keep) if layers or networks else 0
    if use:
        failed += _stack(chosen(engine), keep)
    if failed:
        raise typer.Exit(1)


def _keep(console: Console, report: str, figures: dict[str, float], *, trial: bool) -> None:
    for name, value in figures.items():
        console.print(f"{name:40} {value:,}" if isinstance(value, int) else f"{name:40} {value:.5g}")
    if not trial:
        console.print(f"written to {record(report, figures)}", soft_wrap=True)


def _campaign(console: Console, engine: Preset, layers: int, networks: int, keep: Keep) -> int:
    """Random programs with a wrong element."""
    from sim.campaigns.tile import TileBench

    failed = []
    with TileBench(preset=engine) as bench:
        for name, count, network in (("layers", layers, False), ("networks", networks, True)):
            for seed in track(range(count), name, console=console):
                if bench.check_seed(seed, network=network)[1]:
                    failed.append(f"{name} seed {seed}")
    for line in failed:
        console.print(f"mismatch: {line}")
    counts: dict[str, float] = {
        "tile.layers": layers,
        "tile.networks": networks,
        "tile.mismatches": len(failed),
    }
    if layers < LAYERS or networks < NETWORKS:
        console.print(f"{layers} layers and {networks} networks, {len(failed)} of them with a wrong element")
    else:
        keep("tile", counts)
    return len(failed)


def _stack(engine: Preset, keep: Keep) -> int:
    """Elements of the detector-like stack that are wrong."""
    from sim.campaigns.tile_stack import measure_stack, stack

    result = measure_stack(engine, stack())
    figures = {
        "tile.lane_use": result.lane_use,
        "tile.model_error_max": result.model_error_max,
        "tile.traffic_ratio": result.traffic_ratio,
        "tile.stack_cycles": result.cycles,
        "tile.stack_mismatches": result.mismatches,
    }
    keep("tile_stack", figures)
    return result.mismatches


def _detector(
    console: Console,
    name: str,
    runs: list[str],
    data: Path | None,
    engines: Engines,
    folder: Path,
    keep: Keep,
) -> int:
    """Elements of the detector's maps that are wrong."""
    from models.program import ProgramError
    from scripts.tile_detector import measure_detector

    try:
        figures, wrong = measure_detector(
            console, name=name, runs=runs, engines=engines, folder=folder, data=data
        )
    except (ProgramError, ValueError, FileNotFoundError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    keep("tile_detector", figures)
    return wrong
