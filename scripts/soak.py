"""`colonnade soak`: the intrusion overlay through a long time of everything at once."""

from __future__ import annotations

import typer

from scripts.figures import record


def command(
    frames: int = typer.Option(1_000_000, min=1, help="Frames to send."),
    seed: int = typer.Option(1, help="Seed of the episodes."),
) -> None:
    """Replay, pins, injected AXI errors, resets and model changes at random; account for every frame.

    Example: `colonnade soak --frames 50000`
    """
    from rich.console import Console
    from rich.progress import Progress

    from sim.campaigns.ids import IdsBench
    from sim.campaigns.soak import REPLAY_FRAMES, Soak

    console = Console()
    with IdsBench() as bench, Progress(console=console) as progress:
        soak = Soak(bench, seed=seed)
        task = progress.add_task("frames", total=frames)
        warm_mb = 0.0
        for sent in soak.run(frames):
            progress.update(task, completed=min(sent, frames))
            if not warm_mb and sent >= min(frames // 5, 50 * REPLAY_FRAMES):
                warm_mb = soak.memory_mb
    totals = soak.totals
    figures = {
        "ids.soak_frames": totals.sent,
        "ids.soak_wrong": totals.wrong,
        "ids.soak_given_up": totals.given_up,
        "ids.soak_lost_counted": totals.counted_lost,
        "ids.soak_lost_uncounted": totals.lost_uncounted,
        "ids.soak_memory_growth_mb": soak.memory_mb - warm_mb,
    }
    for name, value in figures.items():
        console.print(f"{name:28} {value:,.6g}")
    console.print(f"episodes: {dict(soak.episodes)}")
    console.print(f"written to {record('soak', figures)}")
    if totals.wrong or totals.lost_uncounted:
        raise typer.Exit(1)
