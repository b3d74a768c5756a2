"""The whole project in one report: every figure beside its goal and its peers, and the plots behind them.

What has not been measured or drawn yet says which command does it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from host.plots import BLUE, RED, bars, curves, histogram, matrix
from host.report import Mark, Report
from models.can_ids.frames import Attack

__all__ = [
    "GROUPS",
    "LayerUse",
    "Picture",
    "add_confusion",
    "add_course",
    "add_every_figure",
    "add_goals",
    "add_lane_use",
    "add_latency",
    "add_picture",
    "add_precision",
]

Figures = Mapping[str, Mapping[str, Any]]

#: Figures by what they are about: title, the beginnings of their names, what measures those not yet measured.
GROUPS = (
    ("CAN intrusion detection: the model", ("can_ids.",), "colonnade evaluate can_ids --exact"),
    ("CAN intrusion detection: the system", ("ids.",), "colonnade verify ids"),
    ("Object detection: the model", ("detector.",), "colonnade evaluate detector"),
    ("Object detection: the system", ("detect.", "serve."), "colonnade detect --measure"),
    ("Convolution engine", ("tile.", "peers."), "colonnade tile"),
    ("Buses, simulated board and proofs", ("copy.", "board.", "prove."), "make bench prove"),
    ("Area and bitstreams", ("resources.", "bitstream.", "area."), "colonnade resources"),
    ("Everything else", ("",), "make figures"),
)
ORANGE = "#9a5b00"
#: Layers drawn one by one: those that take most of a frame.
DRAWN_LAYERS = 24


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A plot that a command leaves as a file; the first of `paths` that is there is shown."""

    paths: Sequence[Path]
    caption: str
    command: str
    name: str = ""  #: of the file that `Report.write_pictures` makes of it


@dataclass(frozen=True, kw_only=True)
class LayerUse:
    """What a layer does to the engine, foreseen or measured."""

    name: str
    products: int  #: of a digit of a weight and an activation
    cycles: int


def add_goals(
    report: Report, figures: Figures, goals: Figures, *, is_met: Callable[[float, str], bool | None]
) -> None:
    """Every figure that has a goal or a peer, by group; then the count."""
    verdicts = [
        is_met(figures[name]["value"], goal["goal"])
        for name, goal in goals.items()
        if name in figures and goal.get("goal")
    ]
    unmeasured = sum(name not in figures for name in goals)
    report.text(
        f"{verdicts.count(True)} goals are met, {verdicts.count(False)} are missed, and {unmeasured} figures "
        "are not measured yet. Nothing here has been run on a real board or through a vendor's tools."
    )
    left = dict(goals)
    for title, prefixes, command in GROUPS:
        names = [name for name in left if name.startswith(prefixes)]
        if names:
            report.subheading(title)
            report.table(
                ["figure", "name", "goal", "published or peer", "made by", "measured", ""],
                [_goal_row(name, left.pop(name), figures, command, is_met) for name in names],
                caption=f"{title}: figures beside goals and peers",
                words=5,
            )


def _goal_row(
    name: str, goal: Mapping[str, Any], figures: Figures, command: str, is_met: Callable[..., bool | None]
) -> list[object]:
    figure = figures.get(name)
    start = [goal["title"], name, goal.get("goal", ""), goal.get("peer", "")]
    if figure is None:
        return [*start, command, Mark("not measured", "quiet"), ""]
    met = is_met(figure["value"], goal.get("goal", ""))
    marks = {True: Mark("met", "good"), False: Mark("missed", "bad"), None: ""}
    return [*start, figure["command"], f"{figure['value']:,.6g}", marks[met]]


def add_every_figure(report: Report, figures: Figures) -> None:
    with report.folded(f"All {len(figures)} figures, with the command and the commit of each"):
        report.table(
            ["figure", "command", "commit", "value"],
            ((name, one["command"], one["commit"], f"{one['value']:,.6g}") for name, one in figures.items()),
            caption="Every figure that a command has recorded",
            words=3,
        )


def add_picture(report: Report, picture: Picture) -> None:
    found = next((path for path in picture.paths if path.is_file()), None)
    if found is None:
        report.missing(picture.caption, picture.command)
    else:
        report.picture(found, f"{picture.caption} Made by: {picture.command}", name=picture.name)


def add_confusion(report: Report, evaluation: Path, *, model: str, command: str) -> None:
    """Truth and verdict over the test rows of the drive, from what the evaluation has written."""
    caption = f"Model {model!r} on the drive's test rows: frames by what they are and what it says."
    captures = json.loads(evaluation.read_text())["captures"] if evaluation.is_file() else []
    counts = [
        np.array(one["confusion"]["frames"])
        for one in captures
        if (one["model"], one["group"]) == (model, "drive") and one["confusion"].get("frames") is not None
    ]
    if not counts:
        report.missing(caption, command)
        return
    total = np.sum(counts, axis=0)
    rows, columns = np.flatnonzero(total.sum(axis=1)), np.flatnonzero(total.sum(axis=0))
    names = [attack.name.lower() for attack in Attack]
    drawn = matrix(total[np.ix_(rows, columns)], [names[r] for r in rows], [names[c] for c in columns])
    report.figure(drawn, f"{caption} Made by: {command}", name=f"can_ids_{model}")


def add_latency(report: Report, run: Path, *, command: str) -> None:
    """The distribution of the time between verdicts in the demo, from what the demo has written."""
    caption = "Time from a verdict to the next while the overlay replays a drive."
    if not run.is_file():
        report.missing(caption, command)
        return
    content = json.loads(run.read_text())
    cycles = np.repeat(*(np.array(content[key], int) for key in ("cycles", "counts")))
    microseconds = cycles / content["clock_hz"] * 1e6
    drawn = histogram(
        microseconds,
        x_label="microseconds from a verdict to the next",
        y_label="frames",
        marks=[(47.0, "shortest frame at 1 Mbit/s")],
    )
    report.figure(
        drawn,
        f"{caption} {len(cycles):,} frames at {content['clock_hz'] / 1e6:.4g} MHz, half of them within "
        f"{np.median(microseconds):.2f} us, all within {microseconds.max():.2f} us. Made by: {command}",
        name="latency",
    )


def add_course(report: Report, run: Path, *, command: str) -> None:
    """The demo's drive: what the attacker sent, and what the overlay made of it."""
    caption = "The demo's drive, in stretches: attack frames sent, frames judged to be attacks, and alerts."
    if not run.is_file():
        report.missing(caption, command)
        return
    content = json.loads(run.read_text())
    series = [
        (title, content["seconds"], content[name], colour)
        for title, name, colour in (
            ("attack frames", "attacks", RED),
            ("judged attacks", "named", BLUE),
            ("alerts", "alerts", ORANGE),
        )
    ]
    drawn = curves(series, x_label="seconds", y_label="frames in a stretch")
    said = "An alert also needs a score of at least the model's threshold of one false alarm an hour."
    report.figure(drawn, f"{caption} {said} Made by: {command}", name="can_ids_drive")


def add_lane_use(report: Report, layers: Sequence[LayerUse], *, lanes: int, what: str) -> None:
    """The layers that take most cycles, and how much of the engine's peak each of them uses."""
    total = sum(one.cycles for one in layers)
    drawn = sorted(layers, key=lambda one: -one.cycles)[:DRAWN_LAYERS]
    rows = [
        (one.name, one.products / lanes / max(one.cycles, 1), f"{one.cycles / total:.1%} of the time")
        for one in drawn
    ]
    whole = sum(one.products for one in layers) / lanes / max(total, 1)
    report.figure(
        bars(rows, most=1.0, x_label="products a cycle over lanes"),
        f"Lane use of {what}: {whole:.1%} over {total:,} cycles a frame. The {len(drawn)} of {len(layers)} "
        f"layers that take most of them ({sum(one.cycles for one in drawn) / total:.0%}), longest first.",
        name="lane_use",
    )


def add_precision(report: Report, judged: Path, *, command: str) -> None:
    """Average precision by class of the integer model, from what the evaluation has written."""
    caption = "Average precision (VOC2007) by class, integer model."
    if not judged.is_file():
        report.missing(caption, command)
        return
    content = json.loads(judged.read_text())
    one = content["models"].get("integer")
    if one is None:
        report.missing(caption, command)
        return
    known = [
        (name, value)
        for name, value in zip(content["classes"], one["per_class"], strict=True)
        if value == value  # NaN where no picture has the class
    ]
    rows = [(name, value, f"{value:.1f}") for name, value in sorted(known, key=lambda each: -each[1])]
    report.figure(
        bars(rows, most=100.0, x_label="average precision, %"),
        f"{caption} mAP {one['voc07']:.2f} on {content['count']:,} pictures of {content['pictures']}, "
        f"{content['side']}x{content['side']}. Made by: {command}",
        name="precision",
    )
