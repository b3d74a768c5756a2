"""`colonnade train`: a network of this project, from captures to files that everything else reads."""

from __future__ import annotations

import shlex
from pathlib import Path

import typer

ROOT = Path(__file__).parents[1]


def command(
    network: str = typer.Argument("can_ids", help="What to train: `can_ids` or `detector`."),
    model: str | None = typer.Option(
        None,
        help="Recipe; can_ids: published, ours, gear, peer, generated; "
        "detector: nano, nano_two, nano_one, generated.",
    ),
    capture: Path | None = typer.Option(None, help="A benign capture of your vehicle; attacks are injected."),
    steps: int | None = typer.Option(None, help="Batches; the recipe's own number if left out."),
    seed: int | None = typer.Option(None, help="Seed of weights and batches; the recipe's own if left out."),
    out: Path = typer.Option(
        ROOT / "build" / "models", help="Folder for .onnx, .json and card.", show_default="build/models"
    ),
    resume: bool = typer.Option(False, help="Go on from the checkpoint of a run that was broken off."),
    data: Path | None = typer.Option(None, help="Data folder; else COLONNADE_DATA, else ../shared/data."),
) -> None:
    """Train, export and judge a network; interrupt it when you like and go on with --resume.

    Example: `colonnade train can_ids --model ours --capture my_drive.log`
    """
    from rich.console import Console

    console = Console()
    if network not in ("can_ids", "detector"):
        raise typer.BadParameter(f"there are trainings for 'can_ids' and 'detector', not for {network!r}")
    try:
        if network == "detector":
            if capture is not None:
                raise ValueError("a capture is of CAN traffic; the detector trains on pictures (--data)")
            from scripts.detector import train_detector

            train_detector(
                console,
                name=model or "nano",
                steps=steps,
                seed=seed,
                out=out,
                resume=resume,
                data=data,
            )
            return
        _train_can_ids(console, model or "ours", capture, steps, seed, out, resume, data)
    except (ValueError, FileNotFoundError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _train_can_ids(
    console: object,
    name: str,
    capture: Path | None,
    steps: int | None,
    seed: int | None,
    out: Path,
    resume: bool,
    data: Path | None,
) -> None:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from models.can_ids import material as sources
    from models.can_ids.dataset import load
    from models.can_ids.evaluation import HeldOut, hcrl_captures
    from models.can_ids.frames import Attack
    from models.can_ids.recipes import RECIPES
    from models.can_ids.shipping import ship
    from models.can_ids.training import Progress, Validation, train

    assert isinstance(console, Console)
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    recipe = RECIPES[name].with_options(steps=steps, seed=seed)
    classes = recipe.topology.classes
    if capture is not None:
        recipe = recipe.replace(name=f"{name}_{capture.name.split('.')[0]}")
        material = sources.from_capture(load(capture.name, capture), classes, seed=recipe.seed)
    elif name == "generated":
        material = sources.from_generator(classes=classes)
    else:
        material = sources.from_hcrl(classes, data=data)
    console.print(f"{recipe.topology}, {recipe.steps:,} steps, on {material.description}")
    checkpoint = ROOT / "build" / "training" / f"can_ids_{recipe.name}.pt"
    with Bar(console=console) as bar:
        task = bar.add_task("training", total=recipe.steps)

        def report(progress: Progress) -> None:
            bar.update(task, completed=progress.step, description=f"loss {progress.loss:.4f}")
            if progress.error is not None:
                bar.console.print(f"step {progress.step:,}: {100 * progress.error:.4f} % of validation wrong")

        trained = train(
            recipe,
            material.training(recipe),
            Validation(*material.validation(recipe)),
            checkpoint=checkpoint,
            resume=resume,
            report=report,
        )
    if capture is not None or name == "generated":
        group = "capture" if capture is not None else "generated"
        tests = [HeldOut(block.name, group, block.test) for block in material.blocks]
    else:
        tests = hcrl_captures(data, gear=Attack.SPOOFING_GEAR in classes)
    out.mkdir(parents=True, exist_ok=True)
    shipped = ship(trained, recipe, material, tests, folder=out, command=_command(name, capture, steps, seed))
    checkpoint.unlink(missing_ok=True)
    console.print(f"wrote {shipped.path} and beside it the card {shipped.path.with_suffix('.md').name}")


def _command(name: str, capture: Path | None, steps: int | None, seed: int | None) -> str:
    words = ["colonnade", "train", "can_ids", "--model", name]
    words += ["--capture", capture.name] if capture is not None else []
    words += ["--steps", str(steps)] if steps is not None else []
    words += ["--seed", str(seed)] if seed is not None else []
    return shlex.join(words)
