"""The card of a trained model: how it was trained, on what, what it is worth; written with the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.can_ids.evaluation import PUBLISHED_WINDOW, Judgement
from models.can_ids.metrics import Confusion
from models.can_ids.recipes import Recipe
from models.can_ids.scores import FRAMES_PER_SECOND, calibration_error, margins
from models.can_ids.zoo import CanModel

__all__ = ["write_card"]

SYNTHETIC = {
    "drive": "a real benign drive; **its attacks were injected afterwards** (bursts, shares as measured on "
    "real attacks, payloads of the real attacks); test: the last 30 % of each stretch, and for fuzzing "
    "a stretch of its own",
    "slices": "real contiguous slices of real attacks, labelled by rule; trained on their first 40 %, "
    "test: the last 50 %",
    "sample": "real labelled frames in random order; never trained on",
    "cross_vehicle": "other cars; never trained on, and no model of one car works on another",
    "generated": "traffic of the generator, **nothing of it real**; test: a drive from another seed",
    "capture": "a benign capture; **its attacks were injected afterwards**; test: its last 30 %",
}


def write_card(
    model: CanModel,
    recipe: Recipe,
    judgements: Sequence[Judgement],
    *,
    command: str,
    exact: tuple[int, int],
) -> Path:
    """Beside the QONNX file; `exact` is how many windows were compared, and how many differed."""
    path = model.path.with_suffix(".md")
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(_card(model, recipe, judgements, command, exact))
    partial.replace(path)
    return path


def _card(
    model: CanModel, recipe: Recipe, judgements: Sequence[Judgement], command: str, exact: tuple[int, int]
) -> str:
    compared, different = exact
    what = (
        "single frames"
        if model.per_frame
        else f"windows of {model.encoding.window} frames (attack if any is one)"
    )
    groups = list(dict.fromkeys(judgement.group for judgement in judgements))
    return "\n".join(
        [
            f"# {model.path.stem}",
            "",
            f"CAN intrusion detection, {recipe.topology}: "
            f"{recipe.topology.weight_storage_bits:,} weight bits.",
            f"Encoding `{model.encoding.kind}`, window {model.encoding.window}; it judges {what}.",
            f"Classes, in the order of the logits: {', '.join(attack.name for attack in model.classes)}; "
            "of equal logits the lowest index wins.",
            "",
            f"- Trained by `{command}` ({recipe.steps:,} steps, batch {recipe.sampling.batch}, "
            f"seed {recipe.seed}).",
            f"- Trained on {model.trained_on}. Split by {_split(groups)}; no frame is in two blocks.",
            *(f"- {group}: {SYNTHETIC[group]}." for group in groups),
            f"- torch, the QONNX executor and the integer program were compared on {compared:,} test "
            f"windows: {different} differ in any integer logit.",
            "- Apache-2.0, as the project. The data sets' authors ask for citation; none of their data is "
            "contained.",
            "",
            "## Results on test rows",
            "",
            *_table(judgements, model.classes),
            "",
            "## Score and threshold",
            "",
            *_calibration(model, judgements),
            "",
        ]
    )


def _as_calibrated(own: Sequence[Judgement]) -> str:
    if any(one.group == "generated" for one in own):
        return "which are of other drives than those trained on"
    return "as they are and with a payload bit wrong in each"


def _split(groups: Sequence[str]) -> str:
    return "drive" if "generated" in groups else "time block"


def _table(judgements: Sequence[Judgement], classes: Sequence[int]) -> list[str]:
    lines = [
        "| capture | verdicts on | rows | wrong | accuracy % | false positives | FPR % | false alarms/h | "
        "F1 % of each attack there |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for judgement in judgements:
        for kind in ("windows", "frames"):
            confusion: Confusion | None = getattr(judgement, kind)
            if confusion is None:
                continue
            on = f"windows of {PUBLISHED_WINDOW}" if kind == "windows" else "frames"
            lines.append(_row(judgement.capture, on, confusion, classes))
    return lines


def _row(name: str, on: str, confusion: Confusion, classes: Sequence[int]) -> str:
    attacks = [
        f"{attack.name.lower()} {100 * confusion.of_class(attack).f1:.3f}"
        if attack in classes
        else f"{attack.name.lower()}: no class for it"
        for attack in confusion.attacks()
    ]
    return (
        f"| {name} | {on} | {confusion.rows:,} | {confusion.wrong:,} | {100 * confusion.accuracy:.3f} | "
        f"{confusion.false_positives:,} | {100 * confusion.false_positive_rate:.4f} | "
        f"{confusion.false_alarms_per_hour:,.0f} | {', '.join(attacks) or '-'} |"
    )


def _calibration(model: CanModel, judgements: Sequence[Judgement]) -> list[str]:
    fit = model.calibration
    own = [one for one in judgements if one.group in ("drive", "generated", "capture")]
    logits = np.concatenate([one.logits for one in own])
    attacked = np.concatenate([one.attacked for one in own])
    margin = margins(logits)
    error = calibration_error(fit.probability(margin), attacked)
    benign, alarms = int((~attacked).sum()), int((margin[~attacked] >= fit.threshold).sum())
    bound = 3 * FRAMES_PER_SECOND * 3600 / max(1, benign)
    return [
        "The score is the integer margin of the best attack logit over the benign logit. "
        f"P(attack) = 1 / (1 + exp(-({fit.slope} x margin + {fit.intercept}))), fitted on validation blocks; "
        f"expected calibration error on the test rows {error:.2e}.",
        "",
        f"Threshold for at most one false alarm an hour at {FRAMES_PER_SECOND:,} frames/s: margin >= "
        f"**{fit.threshold}** (argmax is margin >= 1), from {fit.benign_rows:,} benign validation rows, "
        f"{_as_calibrated(own)}, and a geometric tail beyond. "
        f"On the test rows it leaves a detection rate of "
        f"**{100 * float((margin[attacked] >= fit.threshold).mean()):.3f} %** and raises {alarms} alarms on "
        f"{benign:,} benign rows ({benign / FRAMES_PER_SECOND / 60:.1f} minutes of traffic). What so short a "
        f"test can prove is less than what the tail promises: no alarm at all would only bound the rate "
        f"below {bound:,.0f} an hour (95 %).",
    ]
