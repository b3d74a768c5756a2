"""What a run found, as a report: confusion matrix, times, scores, and what the overlay counted."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from host.ids.pipeline import Summary
from host.ids.records import UNJUDGED, Verdicts
from host.plots import BLUE, RED, histogram, matrix, timeline
from host.report import Report
from models.can_ids.frames import Attack
from models.can_ids.zoo import CanModel

__all__ = ["confusion", "cycles_between", "ids_report", "write_course"]

#: Verdicts of one job follow each other; between two jobs the overlay waits for the host.
PAUSE_FACTOR = 4
#: Stretches that a drive is divided into.
COURSE_BINS = 160


def confusion(model: CanModel, verdicts: Verdicts) -> tuple[np.ndarray, list[str]]:
    """Judged frames by truth (rows, those that occur, by name) and the class that the model names."""
    judged = verdicts.judged
    truth, named = verdicts.frames.attack[judged], verdicts.verdict[judged]
    classes = len(model.classes)
    pairs = truth.astype(np.int64) * classes + named
    counts = np.bincount(pairs, minlength=len(Attack) * classes).reshape(-1, classes)
    rows = np.flatnonzero(counts.sum(axis=1))
    return counts[rows], [Attack(row).name.lower() for row in rows.tolist()]


def cycles_between(verdicts: Verdicts) -> np.ndarray:
    """Clock cycles from a frame to the next within a job; nothing where no clock ran."""
    steps = np.diff(verdicts.cycle.astype(np.int64))
    steps = steps[steps > 0]
    return steps[steps <= PAUSE_FACTOR * np.median(steps)] if len(steps) else steps


def write_course(verdicts: Verdicts, clock_hz: float, path: Path) -> Path:
    """What `colonnade report` draws of a run: cycles between verdicts, and what was sent and seen when."""
    cycles, counts = np.unique(cycles_between(verdicts), return_counts=True)
    judged = verdicts[np.flatnonzero(verdicts.judged & np.isfinite(verdicts.frames.timestamp))]
    seconds = judged.frames.timestamp
    low, high = (seconds.min(), seconds.max()) if len(seconds) else (0.0, 1.0)
    edges = np.linspace(low, high, COURSE_BINS + 1)
    masks = {
        "attacks": judged.frames.attack != Attack.BENIGN,
        "named": judged.verdict != Attack.BENIGN,
        "alerts": judged.alert,
    }
    course = {name: np.histogram(seconds[mask], edges)[0].tolist() for name, mask in masks.items()}
    content = {
        "clock_hz": clock_hz,
        "cycles": cycles.tolist(),
        "counts": counts.tolist(),
        "seconds": ((edges[1:] + edges[:-1]) / 2).tolist(),
        **course,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(content) + "\n")
    partial.replace(path)
    return path


def ids_report(
    model: CanModel,
    verdicts: Verdicts,
    summary: Summary,
    *,
    facts: Mapping[str, str],
    clock_hz: float | None,
    worst_latency_cycles: int = 0,
) -> Report:
    """Everything about a run in one page."""
    report = Report("CAN intrusion detection: what the overlay found")
    report.table(["", ""], facts.items(), words=2)
    for line in summary.lines():
        report.text(line)
    _add_confusion(report, model, verdicts)
    if clock_hz is not None:
        _add_times(report, verdicts, clock_hz, worst_latency_cycles)
    _add_scores(report, model, verdicts)
    report.heading("What the board counted")
    report.table(["counter", "value"], ((name, f"{count:,}") for name, count in summary.counters.items()))
    return report


def _add_confusion(report: Report, model: CanModel, verdicts: Verdicts) -> None:
    counts, truths = confusion(model, verdicts)
    report.heading("Truth and verdict")
    report.figure(
        matrix(counts, truths, [attack.name.lower() for attack in model.classes]),
        "Frames by what they are (rows) and what the overlay says (columns), shaded by the share of the row.",
    )
    benign = verdicts.frames.attack == Attack.BENIGN
    alarms, attacks = int((verdicts.alert & benign).sum()), ~benign & verdicts.judged
    found = int((verdicts.alert & attacks).sum())
    report.text(
        f"At the threshold: {found:,} of {int(attacks.sum()):,} attack frames raised an alert, and "
        f"{alarms:,} of {int(benign.sum()):,} benign ones did. {int((verdicts.verdict == UNJUDGED).sum()):,} "
        "frames were passed on unjudged (29-bit identifiers and remote frames)."
    )


def _add_times(report: Report, verdicts: Verdicts, clock_hz: float, worst_latency_cycles: int) -> None:
    cycles = cycles_between(verdicts)
    report.heading("Time")
    if len(cycles):
        middle = float(np.median(cycles))
        report.figure(
            histogram(cycles, x_label="cycles from a frame to the next", y_label="frames"),
            f"Replay: the overlay takes a frame every {middle:,.0f} cycles (median), "
            f"{middle / clock_hz * 1e6:.3f} us at {clock_hz / 1e6:.4g} MHz.",
        )
        report.figure(
            histogram(
                cycles / clock_hz * 1e6,
                x_label="microseconds from a frame to the next",
                y_label="frames",
                marks=[(47.0, "shortest frame at 1 Mbit/s")],
            ),
            "The same in time, beside the shortest frame that a bus can carry.",
        )
    if worst_latency_cycles:
        report.text(
            f"On the pins, a verdict came at most {worst_latency_cycles} cycles "
            f"({worst_latency_cycles / clock_hz * 1e6:.2f} us) after the last CRC bit was sampled."
        )


def _add_scores(report: Report, model: CanModel, verdicts: Verdicts) -> None:
    report.heading("Scores and course")
    judged = verdicts[np.flatnonzero(verdicts.judged)]
    report.figure(
        histogram(
            judged.score,
            x_label="score: best attack logit less benign logit",
            y_label="frames",
            marks=[(float(model.calibration.threshold), "calibrated threshold")],
        ),
        "How sure the model is; an alert needs a score of at least the threshold.",
    )
    attacks = judged.frames.attack != Attack.BENIGN
    report.figure(
        timeline(
            judged.frames.timestamp,
            [("attack frames", attacks, RED), ("alerts", judged.alert, BLUE)],
            y_label="frames in a 120th of the drive",
        ),
        "Attack frames and alerts over the drive.",
    )
