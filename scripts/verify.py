"""`colonnade verify`: gateware against the golden model, at length, and how long a verdict takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from scripts.figures import record

if TYPE_CHECKING:
    from models.can_ids.frames import Frames


def _captures(most: int) -> Iterator[tuple[str, Frames]]:
    """The first `most` frames of every capture that there is, else of generated drives."""
    from models.can_ids.captures import captures_folder
    from models.can_ids.generator import generate
    from models.can_ids.readers import read

    try:
        folder = captures_folder()
    except FileNotFoundError as missing:
        typer.echo(f"{missing} Generated drives stand in.", err=True)
        for number in (1, 2, 3, 4):
            attacks = ("dos", "fuzzing", "spoofing") if number < 4 else ()
            frames = generate(vehicle_number=number, seconds=max(1, most / 2000), seed=1, attacks=attacks)
            yield f"generated vehicle {number}", frames[:most]
        return
    for path in sorted(folder.rglob("*.gz")):
        yield str(path.relative_to(folder)), read(path).frames[:most]


def command(
    overlay: str = typer.Argument("ids", help="What to verify; `ids` is the one there is."),
    frames: int = typer.Option(80_000, min=1, help="Frames of each capture through DMA replay."),
    pin_frames: int = typer.Option(900, min=1, help="Frames of each capture bit by bit over the CAN pins."),
) -> None:
    """Compare the ids overlay with the golden model, frame by frame, through both of its entrances.

    Example: `colonnade verify ids --frames 2000 --pin-frames 20`
    """
    from rich.console import Console
    from rich.progress import track

    from host.ids.records import host_us_per_frame
    from sim.campaigns.ids import IdsBench

    if overlay != "ids":
        raise typer.BadParameter(f"there is nothing to verify for {overlay!r}; give ids")
    console = Console()
    replayed = pinned = wrong = latency = 0
    with IdsBench() as bench:
        measured = predicted = 0.0
        for name, capture in track(list(_captures(frames)), "captures", console=console):
            mistakes = bench.check_replay(capture)
            if not replayed:
                measured, predicted = bench.replay_cycles(capture[:4096])
            run = bench.check_pins(capture[:pin_frames])
            replayed, pinned = replayed + len(capture), pinned + run.frames
            wrong, latency = wrong + mistakes + run.mismatches, max(latency, run.latency_cycles)
            console.print(f"{name}: {len(capture):,} replayed, {run.frames:,} over the pins")
        lost = bench.ids.counters["frames_lost"]
    figures = {
        "ids.frames_checked": replayed,
        "ids.pin_frames_checked": pinned,
        "ids.pin_frames_lost": lost,
        "ids.mismatches": wrong,
        "ids.latency_cycles_max": latency,
        "ids.replay_cycles_per_frame": measured,
        "ids.replay_cycles_per_frame_predicted": predicted,
        "ids.host_us_per_frame": host_us_per_frame(),
    }
    for name, value in figures.items():
        console.print(f"{name:38} {value:,.6g}")
    console.print(f"written to {record('ids', figures)}")
    if wrong or lost:
        raise typer.Exit(1)
