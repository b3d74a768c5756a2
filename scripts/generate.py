"""Traffic from nothing: captures of imaginary vehicles, attacked on demand."""

from __future__ import annotations

from pathlib import Path

import typer

__all__ = ["command"]


def command(
    system: str = typer.Argument("can", help="What to make traffic for: `can`."),
    vehicle: int = typer.Option(1, help="1 saloon, 2 hatchback, 3 sports car, 4 lorry (29-bit identifiers)."),
    seconds: float = typer.Option(60.0, help="How long it drives."),
    attacks: str = typer.Option("", help="Kinds of attack, with commas between; see --list-attacks."),
    seed: int = typer.Option(0, help="Another seed is another drive with other attacks."),
    capture: Path | None = typer.Option(None, help="Attack this benign capture of yours instead of a drive."),
    out: Path = typer.Option(
        Path("drive.csv"), help=".csv keeps the labels, .log is candump's; either .gz too."
    ),
    list_attacks: bool = typer.Option(False, "--list-attacks", help="Name the kinds of attack and stop."),
) -> None:
    """Write a CAN capture of a generated drive, attacked and labelled if you ask for that.

    Example: `colonnade generate can --vehicle 1 --seconds 60 --attacks dos,fuzzing --out drive.csv`
    """
    from rich.console import Console

    from models.can_ids.generator_attacks import ATTACKS

    console = Console()
    if list_attacks:
        console.print("\n".join(ATTACKS))
        return
    if system != "can":
        raise typer.BadParameter(f"there is traffic for 'can' only, not for {system!r}")
    kinds = [kind.strip() for kind in attacks.split(",") if kind.strip()]
    try:
        for fact in _written(out, kinds, capture=capture, vehicle=vehicle, seconds=seconds, seed=seed):
            console.print(fact, highlight=False, markup=False)
    except (ValueError, OSError) as error:
        console.print(str(error), style="red", highlight=False, markup=False)
        raise typer.Exit(1) from error


def _written(
    out: Path, kinds: list[str], *, capture: Path | None, vehicle: int, seconds: float, seed: int
) -> list[str]:
    """Write the file, and say what is in it."""
    import numpy as np

    from models.can_ids.frames import Attack
    from models.can_ids.generator import generate
    from models.can_ids.generator_attacks import inject
    from models.can_ids.readers import read, write_candump, write_csv

    format_suffix = out.with_suffix("").suffix if out.suffix == ".gz" else out.suffix
    if format_suffix not in (".csv", ".log"):
        raise ValueError(f"{str(out)!r} must end in .csv or .log (candump), with .gz if you like")
    facts = []
    if capture is None:
        frames = generate(vehicle_number=vehicle, seconds=seconds, seed=seed, attacks=kinds)
    else:
        source = read(capture)
        facts.append(f"{capture}: {source.summary()}")
        frames = inject(source.frames, kinds, seed=seed)
    (write_csv if format_suffix == ".csv" else write_candump)(out, frames)
    counts = np.bincount(frames.attack, minlength=len(Attack))
    facts.append(f"{out}: {len(frames):,} frames")
    facts += [f"{attack.name.lower():>16} {counts[attack]:>10,}" for attack in Attack if counts[attack]]
    if format_suffix == ".log" and kinds:
        facts.append("candump's format has no labels: write a .csv to keep them")
    return facts
