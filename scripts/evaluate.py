"""`colonnade evaluate`: what the models of the zoo are worth, on rows that no training saw."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import numpy as np

    from models.can_ids.evaluation import HeldOut, Judgement
    from models.can_ids.frames import Attack
    from models.can_ids.metrics import Confusion
    from models.can_ids.zoo import CanModel

ROOT = Path(__file__).parents[1]


def command(
    network: str = typer.Argument("can_ids", help="What to evaluate: `can_ids` or `detector`."),
    model: list[str] = typer.Option([], help="Names from the zoo or paths of .onnx files; all if left out."),
    exact: bool = typer.Option(False, help="Compare torch, QONNX executor and integer program as well."),
    sensitivity: bool = typer.Option(False, help="Detector: what fewer digits and bits would cost."),
    side: int = typer.Option(512, help="Detector: side of the input, a multiple of 32."),
    out: Path | None = typer.Option(None, help="Folder for table and plots; else build/reports/<network>."),
    data: Path | None = typer.Option(None, help="Data folder; without one, generated material is judged."),
) -> None:
    """Print accuracy per class and capture, and write it as JSON with confusion matrices and ROC.

    What is judged on generated traffic for want of its own captures is printed and not kept.

    Example: `colonnade evaluate can_ids --model ours`
    """
    from rich.console import Console

    from models.can_ids.zoo import load_model, model_names

    # In a file or a pipe, a terminal's 80 columns would cut the figures.
    console = Console(width=None if sys.stdout.isatty() else 120)
    if network not in ("can_ids", "detector"):
        raise typer.BadParameter(f"there are evaluations of 'can_ids' and 'detector', not of {network!r}")
    out = out or ROOT / "build" / "reports" / network
    try:
        if network == "detector":
            from scripts.detector import evaluate_detector

            evaluate_detector(
                console,
                names=model,
                exact=exact,
                sensitivity=sensitivity,
                side=side,
                out=out,
                data=data,
            )
            return
        models = [load_model(name) for name in model or model_names()]
        _evaluate(console, models, exact, out, data, whole=not model)
    except (ValueError, FileNotFoundError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _evaluate(
    console: object, models: list[CanModel], exact: bool, out: Path, data: Path | None, *, whole: bool
) -> None:
    from rich.console import Console

    from models.can_ids.evaluation import evaluate, golden_windows_per_second
    from models.can_ids.figures import model_figures
    from models.can_ids.readers.speed import lines_per_second
    from scripts.figures import record

    assert isinstance(console, Console)
    figures: dict[str, float] = {}
    rows: list[dict[str, object]] = []
    curves = []
    for one in models:
        captures, is_own = _captures(console, one, data)
        judgements = evaluate(one, captures)
        console.print(_table(one, judgements))
        if not is_own:
            continue
        figures |= model_figures(one, judgements)
        rows += [_row(judgement) for judgement in judgements]
        curves += _pictures(one, judgements, out)
        if one.name == "ours" or "can_ids.golden_windows_per_s" not in figures:
            figures["can_ids.golden_windows_per_s"] = golden_windows_per_second(one, captures[0].frames)
        if exact:
            figures |= _exact(console, one, captures)
    if not rows:
        console.print("nothing is kept of this: no model was judged on traffic of its own car")
        return
    if whole or not (out / "can_ids_roc.png").is_file():
        from models.can_ids.plots import plot_roc

        plot_roc(curves, out / "can_ids_roc.png")
    figures["can_ids.reader_lines_per_s"] = lines_per_second(seconds=60)
    _write(out, figures, rows)
    record("evaluate", figures)
    console.print(f"tables and plots: {out}")


def _write(out: Path, figures: dict[str, float], rows: list[dict[str, object]]) -> None:
    """Into the table of all models, in the place of what it had of these."""
    path, judged = out / "evaluation.json", {row["model"] for row in rows}
    before = json.loads(path.read_text()) if path.is_file() else {"figures": {}, "captures": []}
    kept = [row for row in before["captures"] if row["model"] not in judged]
    content = {"figures": before["figures"] | figures, "captures": kept + rows}
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def demonstrate(console: object) -> None:
    """For `colonnade demo`: a model of the zoo on generated traffic that it has not seen, in seconds."""
    from models.can_ids.evaluation import evaluate, generated_captures
    from models.can_ids.zoo import load_model

    model = load_model("generated")
    console.print(_table(model, evaluate(model, generated_captures())))  # type: ignore[attr-defined]


def _captures(console: object, model: CanModel, data: Path | None) -> tuple[list[HeldOut], bool]:
    """What a model can be judged on, and whether that is of its own car: else it is generated traffic."""
    from models.can_ids.evaluation import generated_captures, hcrl_captures
    from models.can_ids.frames import Attack

    if model.vehicle is not None:
        return generated_captures(model.vehicle), True
    try:
        return hcrl_captures(data, gear=Attack.SPOOFING_GEAR in model.classes), True
    except FileNotFoundError as error:
        text = f"{model.name}: {error} On generated traffic instead, of a car that it was not trained on."
        console.print(text, style="yellow", markup=False, soft_wrap=True)  # type: ignore[attr-defined]
        return generated_captures(), False


def _table(model: CanModel, judgements: list[Judgement]) -> object:
    from rich import box
    from rich.table import Table

    attacks = model.classes[1:]
    names = [f"F1 {attack.name.lower().replace('spoofing_', '')}" for attack in attacks]
    columns = ["capture", "of", "rows", "wrong", "right %", "FPR %", "false/h", *names]
    table = Table(*columns, title=f"{model.name}: windows of 4 frames, single frames", box=box.SIMPLE)
    for judgement in judgements:
        for kind in ("windows", "frames"):
            confusion = getattr(judgement, kind)
            if confusion is None:
                continue
            table.add_row(
                *(judgement.capture, kind, f"{confusion.rows:,}", f"{confusion.wrong:,}"),
                *(f"{100 * confusion.accuracy:.3f}", f"{100 * confusion.false_positive_rate:.4f}"),
                f"{confusion.false_alarms_per_hour:,.0f}",
                *(
                    f"{100 * confusion.of_class(one).f1:.3f}" if _is_there(confusion, one) else ""
                    for one in attacks
                ),
            )
    return table


def _is_there(confusion: Confusion, attack: Attack) -> bool:
    return confusion.of_class(attack).support > 0


def _row(judgement: Judgement) -> dict[str, object]:
    confusions = {kind: getattr(judgement, kind) for kind in ("windows", "frames", "alarm_frames")}
    return {
        "model": judgement.model,
        "capture": judgement.capture,
        "group": judgement.group,
        "confusion": {kind: one.counts.tolist() for kind, one in confusions.items() if one is not None},
        "classes": {
            kind: {attack.name: asdict(one.of_class(attack)) for attack in one.attacks()}
            for kind, one in confusions.items()
            if one is not None
        },
    }


def _pictures(
    model: CanModel, judgements: list[Judgement], out: Path
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Confusion matrices of the model's own group; returns its curve for the common ROC."""
    import numpy as np

    from models.can_ids.evaluation import together
    from models.can_ids.plots import plot_confusion
    from models.can_ids.scores import margins

    group = judgements[0].group
    for kind in ("windows", "frames"):
        confusion = together(judgements, group, kind)
        if confusion is not None:
            title = f"{model.name}: {kind} of the {group}"
            plot_confusion(confusion, model.classes, title, out / f"can_ids_{model.name}_{kind}.png")
    own = [one for one in judgements if one.group == group]
    margin = np.concatenate([margins(one.logits) for one in own])
    return [(f"{model.name}, {group}", margin, np.concatenate([one.attacked for one in own]))]


def _exact(console: object, model: CanModel, captures: list[HeldOut]) -> dict[str, float]:
    import numpy as np

    from models.can_ids.rebuilding import rebuild, topology_of
    from models.can_ids.shipping import COMPARED, differing_windows

    windows = np.concatenate([model.encoding.windows(capture.frames) for capture in captures])[:COMPARED]
    network = rebuild(model.path, topology_of(model))
    different = differing_windows(network, model, windows)
    text = (
        f"{model.name}: torch, QONNX executor and integer program differ on {different} of {len(windows):,}"
    )
    console.print(text)  # type: ignore[attr-defined]
    return {
        f"can_ids.{model.name}.exact_windows": len(windows),
        f"can_ids.{model.name}.exact_mismatches": different,
    }
