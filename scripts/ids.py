"""`colonnade ids`: watch a CAN bus, a log or a generated drive for intrusions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scripts.termination import terminated_as_interrupted

if TYPE_CHECKING:
    from rich.console import Console

    from host.ids.pipeline import Summary
    from models.can_ids.zoo import CanModel

__all__ = ["command", "default_model", "model_named", "open_board_for"]

NO_ALERT, ALERTS, USAGE, BOARD = 0, 1, 2, 3  #: exit codes

HELP = """Judge every frame of a source on a board, and write what is found to sinks.

A SOURCE is a log file (any format of python-can, candump, CSV; gzip too), `generate` or
`generate:vehicle=1,seconds=20,seed=0,attacks=dos+fuzzing`, `can:<interface>:<channel>[:<bit rate>]`, or
`pins[:<bit rate>]`, the CAN pins of the board itself. A SINK is `jsonl:FILE`, `csv:FILE`, `events:FILE`
(aggregated security events) or `live`; files are appended to.

Exit codes: 0 no alert, 1 alerts, 2 wrong use, input or output, 3 the board.

Example: `colonnade ids --source generate --board sim --sink jsonl:alerts.jsonl --sink live`
"""


def command(
    source: str = typer.Option("", help="Where frames come from; see above."),
    board: str = typer.Option("sim", help="sim: the simulated board; pynq: a real one; model: numpy alone."),
    sink: list[str] = typer.Option([], help="Where verdicts go; may be given again for more than one."),
    model: str = typer.Option(
        "", help="A model of the zoo, or the path of an .onnx file; ours if absent, generated for `generate`."
    ),
    threshold: int = typer.Option(
        None, help="Least score of an alert; the model's calibrated one if absent."
    ),
    classes: str = typer.Option("", help="Attack classes that raise alerts, commas between; all if absent."),
    everything: bool = typer.Option(False, "--all", help="Write every verdict to jsonl and csv, not alerts."),
    seconds: float = typer.Option(None, help="Stop after so long; a live source never ends by itself."),
    rail: str = typer.Option(None, help="Power rail to measure on a real board; its input if absent."),
    guard_key: str = typer.Option(
        "", help="DANGEROUS: with the key, destroy alerting frames on the pins' bus."
    ),
    measure: bool = typer.Option(False, help="Only measure what packing and unpacking cost on this machine."),
) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    if measure:
        _measure(console)
        return
    with terminated_as_interrupted():
        code = _run(
            console,
            source=source,
            board=board,
            sinks=sink,
            model_name=model,
            threshold=threshold,
            classes=[name.strip() for name in classes.split(",") if name.strip()],
            everything=everything,
            seconds=seconds,
            rail=rail,
            guard_key=guard_key,
        )
    raise typer.Exit(code)


command.__doc__ = HELP


def _run(
    console: Console,
    *,
    source: str,
    board: str,
    sinks: list[str],
    model_name: str,
    threshold: int | None,
    classes: list[str],
    everything: bool,
    seconds: float | None,
    rail: str | None,
    guard_key: str,
) -> int:
    from host.ids.board import BoardFailure, alert_rule
    from host.ids.sinks import SinkError, open_sink
    from host.ids.sources import SourceError, open_source

    if not source:
        return _say(console, "name a --source; colonnade ids --help lists what there is", USAGE)
    if board not in ("sim", "pynq", "model"):
        return _say(console, f"--board is sim, pynq or model, not {board!r}", USAGE)
    try:
        model = model_named(model_name or default_model(source))
        rule = alert_rule(model, classes=classes, threshold=threshold)
        key = _key(guard_key) if guard_key else None
        if key is not None and (not source.startswith("pins") or board == "model"):
            raise ValueError("the guard acts on the board's own pins: --guard-key needs --source pins")
        with contextlib.ExitStack() as stack:
            frames = open_source(source)
            stack.callback(frames.close)
            opened = [open_sink(text, model.classes, everything=everything) for text in sinks]
            summary = _watched(
                console, frames, board, opened, model, rule, seconds=seconds, rail=rail, guard_key=key
            )
    except (SourceError, SinkError, ValueError, OSError) as error:
        return _say(console, str(error), USAGE)
    except BoardFailure as error:
        return _say(console, f"board {board}: {error}", BOARD)
    for line in summary.lines():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if summary.alert_count:
        return ALERTS
    if summary.broken:
        return USAGE
    if not summary.frames and not frames.live and not summary.interrupted:
        return _say(console, f"{frames.name} holds no CAN frame that could be read", USAGE)
    return NO_ALERT


def _watched(console: Console, source, kind: str, sinks, model, rule, *, seconds, rail, guard_key) -> Summary:
    """Open the board, run the pipeline, and close the sinks also when the board never opened."""
    from host.ids.board import BoardFailure
    from host.ids.pipeline import watch
    from host.power import measure_power

    with contextlib.ExitStack() as stack:
        unopened = stack.enter_context(contextlib.ExitStack())
        for sink in sinks:
            unopened.callback(sink.close)
        try:
            board = stack.enter_context(open_board_for(kind, model, rule))
            if guard_key is not None:
                _arm(board, guard_key, rule)
            for name, fact in (board.facts | {"trained on": model.trained_on}).items():
                console.print(f"{name}: {fact}", style="dim", highlight=False, markup=False, soft_wrap=True)
            console.print(
                f"source: {source.name}", style="dim", highlight=False, markup=False, soft_wrap=True
            )
        except (RuntimeError, OSError, ImportError) as error:
            raise BoardFailure(str(error)) from error
        unopened.pop_all()  # the pipeline closes them from here on
        with measure_power(rail=rail) as energy:
            summary = watch(source, board, sinks, classes=model.classes, seconds=seconds)
        summary.notes.append(energy.describe(summary.frames))
        return summary


@contextlib.contextmanager
def open_board_for(kind: str, model: CanModel, rule) -> Iterator:
    """The only place that knows a simulated board from another."""
    from host.ids.board import open_board

    with contextlib.ExitStack() as stack:
        if kind == "sim":
            from sim.board import simulated_board

            stack.enter_context(simulated_board("ids"))
        board = open_board("model" if kind == "model" else "overlay", model, rule)
        stack.callback(board.close)
        yield board


def _arm(board, key: int, rule) -> None:
    from host.ids.guard import GuardPolicy

    board.arm_guard(GuardPolicy(key=key, classes=rule.classes))


def _key(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError(f"--guard-key is a number, such as 0x0123ABCD, not {text!r}") from None


def default_model(source: str) -> str:
    """No model of one car works on another: the generator's first vehicle has its own."""
    return "generated" if source.partition(":")[0] in ("", "generate") else "ours"


def model_named(name: str) -> CanModel:
    """A model whose files are whole, which is found out now."""
    from models.can_ids.zoo import PREFIX, load_model

    path = Path(name)
    model = load_model(path if path.suffix == ".onnx" else name.removeprefix(PREFIX))
    _ = model.program
    return model


def _measure(console: Console) -> None:
    from host.ids.records import host_us_per_frame
    from scripts.figures import record

    cost = host_us_per_frame()
    console.print(f"packing and unpacking: {cost:.4f} us a frame")
    console.print(f"written to {record('ids_host', {'ids.host_us_per_frame': cost})}")


def _say(console: Console, message: str, code: int) -> int:
    console.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return code
