"""The detector's side of `colonnade train` and `colonnade evaluate`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from models.detector.judging import Judged
    from models.detector.pictures import PictureSet
    from models.detector.zoo import Detector

ROOT = Path(__file__).parents[1]
#: Canvas of the exported file and of the figures.
SIDE = 512
#: Generated scenes of a training without photographs.
SCENES = 400
SHEET = 12
#: Pictures held out of the train split that the sensitivity report judges variants on.
SENSITIVITY_PICTURES = 60


def train_detector(
    console: Console,
    *,
    name: str,
    steps: int | None,
    seed: int | None,
    out: Path,
    resume: bool,
    data: Path | None,
) -> None:
    """Train a recipe, export it, and draw its learning curve."""
    import torch
    from rich.progress import Progress as Bar

    from models.can_ids.captures import data_folder
    from models.detector.pictures import voc_split
    from models.detector.plots import plot_curve
    from models.detector.recipes import RECIPES
    from models.detector.scenes import generated_scenes
    from models.detector.shipping import ship
    from models.detector.starting import teacher_from_yolox, weights_path
    from models.detector.training import Check, train

    # More threads wait for each other on small maps, and sums would depend on their number.
    torch.set_num_threads(1)
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    recipe = RECIPES[name].replace(seed=seed)
    recipe = recipe if steps is None else recipe.with_steps(steps)
    generated = recipe.start == "random"
    pictures = generated_scenes(SCENES) if generated else voc_split(data_folder(data), "train")
    teacher = None if generated else teacher_from_yolox(weights_path(data_folder(data)))
    console.print(
        f"{recipe.topology.name}, {recipe.float_steps:,} float and {recipe.shift_steps:,} shift steps "
        f"on {pictures.description}"
    )
    checkpoint = ROOT / "build" / "training" / f"detector_{recipe.name}.pt"
    with Bar(console=console) as bar:
        task = bar.add_task("training", total=recipe.steps)

        def report(step: int, loss: float, check: Check | None) -> None:
            bar.update(task, completed=step, description=f"loss {loss:.3f}")
            if check is not None:
                text = f"step {step:,} ({check.stage}): mAP {check.held_out_map:.2f} of held-out pictures"
                bar.console.print(text)

        trained = train(
            recipe, pictures, teacher=teacher, checkpoint=checkpoint, resume=resume, report=report
        )
    side = recipe.check_side if generated else SIDE
    words = ["colonnade", "train", "detector", "--model", name]
    words += ["--steps", str(steps)] if steps is not None else []
    words += ["--seed", str(seed)] if seed is not None else []
    shipped = ship(
        trained, recipe, folder=out, size=(side, side), command=shlex.join(words), source=pictures.description
    )
    plot_curve(trained.curve, out / f"detector_{recipe.name}_curve.png")
    checkpoint.unlink(missing_ok=True)
    console.print(f"wrote {shipped.path} and beside it card, float model and learning curve")


def evaluate_detector(
    console: Console,
    *,
    names: list[str],
    exact: bool,
    sensitivity: bool,
    side: int,
    out: Path,
    data: Path | None,
) -> None:
    """Judge detectors on the test split; with `exact`, compare all three arithmetics as well."""
    from models.detector import evaluation
    from models.detector.zoo import detector_names, load_detector
    from scripts.figures import record

    names = names or detector_names()
    if not names:
        raise FileNotFoundError("there is no detector in the zoo; train one: colonnade train detector")
    pictures, missing = evaluation.test_pictures(data)
    if missing:
        console.print(
            f"{missing} On generated scenes instead, which say nothing about photographs.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, float] = {}
    for name in names:
        detector = load_detector(name)
        figures |= _judge(console, detector, pictures, side, exact, real=not missing, out=out)
        if exact:
            figures |= _exact(console, detector, pictures)
        if sensitivity:
            _sensitivity(console, detector, data, out)
    if figures:
        record("evaluate_detector", figures)
    console.print(f"tables and pictures: {out}")


def _judge(
    console: Console,
    detector: Detector,
    pictures: PictureSet,
    side: int,
    exact: bool,
    *,
    real: bool,
    out: Path,
) -> dict[str, float]:
    from rich.progress import Progress as Bar

    from models.detector.card import SIDES, update
    from models.detector.cost import cost_of, resized
    from models.detector.evaluation import evaluate, summary
    from models.detector.plots import write_sheet

    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("judging", total=len(pictures))
        judged = evaluate(
            detector,
            pictures,
            side=side,
            quantised=exact,
            report=lambda model, done: bar.update(task, completed=done, description=f"{model} model"),
        )
    console.print(_table(detector, judged, f"{detector.name}: {pictures.description}, {side}x{side}"))
    for name, one in judged.items():
        console.print(f"{name}: {1000 * one.seconds:.1f} ms a picture for the maps, one thread")
    costs = {length: cost_of(resized(detector.program, (length, length))) for length in SIDES}
    for length, cost in costs.items():
        console.print(
            f"{length}x{length}: {cost.macs / 1e9:.3f} GMAC, {cost.lane_cycles / 1e6:.2f} M lane-cycles, "
            f"{cost.weight_bits:,} weight bits, largest map {cost.largest_map_bytes:,} bytes"
        )
    shown = [pictures[index].pixels for index in range(min(SHEET, len(pictures)))]
    write_sheet(
        shown, judged["integer"].found[:SHEET], detector.classes, out / f"detector_{detector.name}_sheet.png"
    )
    results = {
        "pictures": pictures.description,
        "count": len(pictures),
        "side": side,
        "classes": list(detector.classes),
        "command": "colonnade evaluate detector",
        "models": summary(judged),
    }
    (out / f"detector_{detector.name}.json").write_text(json.dumps(results, indent=1) + "\n")
    if not real:
        return {}
    if side == SIDE:
        update(detector, results=results)
    # The figures without a model's name are of the best in the zoo, which stands last.
    return {f"detector.{detector.name}.map_voc07_{name}": one.voc07.mean for name, one in judged.items()} | {
        "detector.map_voc07_float": judged["float"].voc07.mean,
        "detector.map_voc07_integer": judged["integer"].voc07.mean,
        "detector.gmac_512": costs[512].macs / 1e9,
        "detector.lane_mcycles_512": costs[512].lane_cycles / 1e6,
    }


def _table(detector: Detector, judged: dict[str, Judged], title: str) -> object:
    import math

    from rich import box
    from rich.table import Table

    table = Table("average precision, %", *judged, title=title, box=box.SIMPLE)
    for index, class_ in enumerate(detector.classes):
        values = [one.voc07.classes[index] for one in judged.values()]
        if not all(math.isnan(value) for value in values):
            table.add_row(class_, *(f"{value:.1f}" for value in values))
    table.add_section()
    for label, metric in (("mAP VOC2007", "voc07"), ("mAP VOC2012", "voc12"), ("COCO average", "coco")):
        table.add_row(label, *(f"{getattr(one, metric).mean:.2f}" for one in judged.values()))
    return table


def _exact(console: Console, detector: Detector, pictures: PictureSet) -> dict[str, float]:
    from models.detector.card import update
    from models.detector.evaluation import canvases, fake_quantised
    from models.detector.shipping import differing_pictures

    size = tuple(detector.described["size"])
    pixels = canvases(pictures, 50, size)
    different = differing_pictures(fake_quantised(detector), detector.path, pixels)
    console.print(
        f"{detector.name}: torch, QONNX executor and integer program differ on "
        f"{different} of {len(pixels)} pictures"
    )
    update(
        detector,
        exact={"pictures": len(pixels), "different": different, "of": pictures.description},
    )
    return {
        f"detector.{detector.name}.exact_pictures": len(pixels),
        f"detector.{detector.name}.exact_mismatches": different,
    }


def _sensitivity(console: Console, detector: Detector, data: Path | None, out: Path) -> None:
    """On pictures held out of the train split: choices made here must not know the test split."""
    from dataclasses import asdict

    from models.can_ids.captures import data_folder
    from models.detector.pictures import voc_split
    from models.detector.plots import plot_pareto
    from models.detector.scenes import generated_scenes
    from models.detector.sensitivity import removals, suppression, variants
    from models.detector.training import split_held_out

    try:
        pictures = split_held_out(voc_split(data_folder(data), "train"), 10)[1]
    except FileNotFoundError:
        pictures = generated_scenes(SENSITIVITY_PICTURES, seed=2_000)
    pictures = pictures.select(pictures.names[:SENSITIVITY_PICTURES], pictures.description)
    side = min(416, detector.described["size"][0])
    overlaps = suppression(detector, pictures, side=side)
    for overlap, precision in overlaps.items():
        console.print(f"boxes that overlap a better one by {overlap} suppressed: mAP {precision:.2f}")
    removed = removals(detector, pictures)
    points = variants(
        detector,
        pictures,
        removed,
        side=side,
        report=lambda one: console.print(
            f"{one.label}: mAP {one.precision:.2f}, {one.lane_cycles / 1e6:.2f} M lane-cycles"
        ),
    )
    stem = out / f"detector_{detector.name}_sensitivity"
    stem.with_suffix(".json").write_text(
        json.dumps(
            {"digits": [asdict(one) for one in removed], "variants": [asdict(one) for one in points]},
            indent=1,
        )
        + "\n"
    )
    plot_pareto([(one.label, one.lane_cycles, one.precision) for one in points], stem.with_suffix(".png"))
