"""`colonnade search`: which topology is worth training."""

from __future__ import annotations

import json
from pathlib import Path

import typer

ROOT = Path(__file__).parents[1]


def command(
    network: str = typer.Argument("can_ids", help="What to search for: `can_ids`."),
    trials: int = typer.Option(20, help="Trials that this worker adds; 0 only draws the plot."),
    steps: int = typer.Option(2000, help="Batches of each trial's training."),
    study: Path = typer.Option(
        ROOT / "build" / "search" / "can_ids.journal", help="Journal that all workers of a study share."
    ),
    seed: int = typer.Option(0, help="Seed of the sampler; give each worker another."),
    out: Path = typer.Option(ROOT / "build" / "reports" / "can_ids", help="Folder for plot and table."),
    data: Path | None = typer.Option(
        None, help="Data folder; without one, generated traffic is searched on."
    ),
) -> None:
    """Search for encoding, window, widths, depth and bits; run it several times at once to use more cores.

    Example: `colonnade search can_ids --trials 40 --seed 1`
    """
    from rich.console import Console

    console = Console()
    if network != "can_ids":
        raise typer.BadParameter(f"there is a search for 'can_ids' only, not for {network!r}")
    from models.can_ids.material import from_generator, from_hcrl
    from models.can_ids.plots import plot_pareto
    from models.can_ids.search import Point, open_study, points, search

    def report(point: Point) -> None:
        console.print(
            f"trial {point.number}: {100 * point.error:.4f} % wrong, {point.luts:,.0f} LUT: {point.topology}"
        )

    opened = open_study(study, seed=seed)
    if trials:
        try:
            material = from_hcrl(data=data)
        except FileNotFoundError as error:
            console.print(f"{error} Searching on generated traffic.", style="yellow", markup=False)
            material = from_generator()
        console.print(f"{trials} trials of {steps:,} steps on {material.description}")
        search(opened, material, trials=trials, steps=steps, report=report)
    found, best = points(opened)
    if not found:
        console.print("the study has no finished trial yet", style="yellow")
        return
    plot_pareto(
        [(point.luts, point.error, _encoding(point)) for point in found], best, out / "can_ids_pareto.png"
    )
    table = [
        {"topology": str(found[place].topology), "encoding": _encoding(found[place])}
        | {"error": found[place].error, "luts": found[place].luts, "trial": found[place].number}
        for place in sorted(best, key=lambda place: found[place].luts)
    ]
    (out / "pareto.json").write_text(json.dumps({"trials": len(found), "front": table}, indent=2) + "\n")
    for row in table:
        console.print(
            f"{100 * row['error']:8.4f} %  {row['luts']:9,.0f} LUT  {row['encoding']}: {row['topology']}"
        )
    console.print(f"{len(found)} trials; plot and table in {out}")


def _encoding(point: object) -> str:
    encoding = point.topology.encoding  # type: ignore[attr-defined]
    return f"{encoding.kind}, window {encoding.window}"
