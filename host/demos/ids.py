"""An attacked drive through the `ids` overlay: alerts on the screen, and one HTML report of what it found.

Runs unchanged on a PYNQ board (`python -m host.demos.ids [report.html]`) and on the simulated one
(`colonnade simulate host/demos/ids.py --overlay ids`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from host.ids.board import alert_rule
from host.ids.events import EventFilter
from host.ids.fabric import FabricBoard
from host.ids.pipeline import Summary, watch
from host.ids.records import Verdicts
from host.ids.sources import FramesSource, GeneratedSource, Source
from host.ids.story import confusion, cycles_between, ids_report, write_course
from host.power import Energy, measure_power
from models.can_ids.evaluation import generated_captures
from models.can_ids.zoo import CanModel, load_model, model_names

REPORT = Path("build") / "reports" / "ids_demo.html"
#: Trained on the generator's own car, where it is shipped: no model of one car works on another.
PREFERRED_MODELS = ("generated", "ours")


#: Long enough for a burst of every attack.
SECONDS = 16.0


def drive(model: CanModel) -> Source:
    """An attacked drive that no training saw, of the model's own car where that is the generator's."""
    if model.vehicle is None:
        return GeneratedSource(vehicle=1, seconds=8.0, seed=4)
    frames = generated_captures(model.vehicle, seconds=SECONDS)[0].frames
    return FramesSource(f"generated drive of vehicle {model.vehicle}, kept for tests", frames)


class Collected:
    """A sink that keeps everything, and tells security events as they come."""

    def __init__(self, model: CanModel, console: Console):
        self._parts: list[Verdicts] = []
        self._events = EventFilter(model.classes)
        self._console = console

    @property
    def verdicts(self) -> Verdicts:
        return Verdicts.concatenate(self._parts)

    def take(self, verdicts: Verdicts) -> None:
        self._parts.append(verdicts)
        for event in self._events.feed(verdicts):
            self._tell(event)

    def close(self) -> list[str]:
        for event in self._events.flush():
            self._tell(event)
        return []

    def _tell(self, event) -> None:
        context = event.context
        self._console.print(
            f"[red]{event.name:14}[/red] {event.first:7.3f} s  {event.count:5,} alerts, the clearest: "
            f"identifier {context['identifier']} data {context['data']:16} score {context['score']}",
            highlight=False,
            soft_wrap=True,
        )


def show(console: Console, model: CanModel, verdicts: Verdicts, clock_hz: float, worst_cycles: int) -> None:
    """The same on the screen as in the report, in short."""
    counts, truths = confusion(model, verdicts)
    names = [attack.name.lower() for attack in model.classes]
    table = Table("truth / verdict", *names, title=f"{len(verdicts):,} frames, model {model.name}")
    for name, row in zip(truths, counts.tolist(), strict=True):
        table.add_row(name, *(f"{count:,}" for count in row))
    console.print(table)
    cycles = cycles_between(verdicts)
    if len(cycles):
        middle, most = np.median(cycles), cycles.max()
        console.print(
            f"a verdict every {middle:,.0f} cycles, {middle / clock_hz * 1e6:.2f} us (median; "
            f"{most:,} cycles at most)"
        )
    if worst_cycles:
        console.print(
            f"worst latency on the pins: {worst_cycles} cycles, {worst_cycles / clock_hz * 1e6:.2f} us"
        )


def run(board: FabricBoard, model: CanModel, console: Console) -> tuple[Summary, Verdicts, Energy]:
    source = drive(model)
    for name, fact in (board.facts | {"trained on": model.trained_on, "source": source.name}).items():
        console.print(f"{name}: {fact}", style="dim", highlight=False, soft_wrap=True)
    collected = Collected(model, console)
    with measure_power() as energy:
        summary = watch(source, board, [collected], classes=model.classes)
    return summary, collected.verdicts, energy


def main(report: Path = REPORT) -> None:
    """Replay the drive, show what came of it, and write the report."""
    console = Console()
    name = next(name for name in PREFERRED_MODELS if name in model_names())
    model = load_model(name)
    board = FabricBoard(model, alert_rule(model))
    try:
        summary, verdicts, energy = run(board, model, console)
        worst_cycles = board.ids.latency_cycles_max
        facts, clock_hz = board.facts, board.ids.clock_hz
    finally:
        board.close()
    show(console, model, verdicts, clock_hz, worst_cycles)
    power = energy.describe(summary.frames)
    console.print(power, highlight=False, soft_wrap=True)
    page = ids_report(
        model,
        verdicts,
        summary,
        facts=facts | {"trained on": model.trained_on, "power": power},
        clock_hz=clock_hz,
        worst_latency_cycles=worst_cycles,
    )
    console.print(f"report: {page.write(report)}", soft_wrap=True)
    write_course(verdicts, clock_hz, report.parent / "ids" / "demo.json")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
