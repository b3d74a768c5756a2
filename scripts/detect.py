"""`colonnade detect`: find objects in what a camera, a video or pictures show."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from scripts import detect_measure
from scripts.detect_screen import introduce, report, run_with_progress
from scripts.termination import terminated_as_interrupted

if TYPE_CHECKING:
    from rich.console import Console

    from host.detect.engines import ComparedEngine
    from host.detect.summary import Summary
    from models.detector.zoo import Detector
    from scripts.detect_engines import OpenedEngine

__all__ = ["FULL_SIDE", "Wanted", "command"]

DONE, DIFFERENT, USAGE, BOARD = 0, 1, 2, 3  #: exit codes
#: Clocks that frames a second of a simulated preset are stated at; assumed, not placed and routed.
ASSUMED_MHZ = {"z7020": 100.0, "zu3eg": 150.0, "zu7ev": 200.0}
FULL_SIDE = 512
#: Fewer say nothing about memory.
SOAK_FRAMES = 10_000

HELP = """Find objects in pictures on a board, and write or show them.

A SOURCE is `camera[:<number>]`, the path of a video, of a picture or of a folder of pictures, `voc[:<split>]`
(the data folder's test split) or `generated[:count=<frames>,seed=<number>]`. A SINK is `jsonl:FILE`,
`video:FILE`, `png:FOLDER`, `mjpeg[:[HOST:]PORT]` (loopback by default; a token otherwise) or `window`.

Exit codes: 0 done, 1 `--compare` found a difference, 2 wrong use, input or output, 3 the board.

Example: `colonnade detect --source generated --board model --sink jsonl:boxes.jsonl --sink png:boxes`
"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The command line."""

    source: str
    sinks: list[str]
    board: str
    detector: Detector
    size: tuple[int, int]
    frames: int | None
    policy: str | None
    least_score: float
    preset: str
    binary: Path | None
    compare: bool
    judge: bool
    soak: bool
    timeline: Path | None
    data: Path | None


def command(
    source: str = typer.Option("generated", help="Where pictures come from; see above."),
    sink: list[str] = typer.Option([], help="Where boxes go; may be given again for more than one."),
    board: str = typer.Option(
        "model",
        help="model: the integer program on this processor; sim: the RTL on the simulated board; pynq or "
        "ZCU104, Pynq-Z2, Ultra96, KV260: the real board that this runs on (never tried on one).",
    ),
    model: str = typer.Option("", help="A detector of the zoo, or the path of an .onnx file."),
    size: str = typer.Option("512", help="Canvas: 512, or width x height such as 640x384."),
    frames: int = typer.Option(None, min=1, help="Stop after so many."),
    policy: str = typer.Option(
        None,
        help="block: nothing is lost. drop-oldest: what is seen is new, a video plays at its own rate, and "
        "what is dropped is counted. If absent: drop-oldest for a camera, block for all else.",
    ),
    least_score: float = typer.Option(0.3, min=0.0, max=1.0, help="Least score of a box."),
    preset: str = typer.Option("", help="Engine of the board: sim, small, z7020, zu3eg or zu7ev."),
    binary: Path = typer.Option(None, exists=True, dir_okay=False, help="What `colonnade compile` wrote."),
    compare: bool = typer.Option(False, help="Compute every frame by the integer program, too, and compare."),
    judge: bool = typer.Option(False, help="Mean average precision of what the pipeline found."),
    timeline: Path = typer.Option(None, help="Draw the stages over time here (.svg)."),
    soak: bool = typer.Option(False, help="Watch order and memory of a long run."),
    measure: bool = typer.Option(False, help="Measure every stage alone, in one thread; then all together."),
    data: Path = typer.Option(None, help="The data folder, instead of COLONNADE_DATA."),
) -> None:
    from rich.console import Console

    from host.detect.engines import EngineFailure
    from host.detect.faces import SinkError, SourceError
    from models.detector.zoo import detector_names, load_detector
    from scripts.detect_engines import size_of

    console = Console(stderr=True)
    try:
        wanted = Wanted(
            source=source, sinks=sink, board=board, detector=load_detector(model or detector_names()[-1]),
            size=size_of(size), frames=frames, policy=policy, least_score=least_score, preset=preset,
            binary=binary, compare=compare, judge=judge, soak=soak, timeline=timeline, data=data,
        )  # fmt: skip
        with terminated_as_interrupted():
            if measure:
                detect_measure.measure(console, wanted, _engine(wanted))
            code = DONE if measure else _detect(console, wanted)
    except EngineFailure as error:
        code = _say(console, f"board {board}: {error}", BOARD)
    except (SourceError, SinkError, ValueError, OSError) as error:  # a TimeoutError is one, too
        code = _say(console, str(error), USAGE)
    raise typer.Exit(code)


command.__doc__ = HELP


def _detect(console: Console, wanted: Wanted) -> int:
    """Open source, engine and sinks, run, and say what came of it."""
    from host.detect.judging import JudgeSink
    from host.detect.pipeline import Pipeline, Settings
    from host.detect.sinks import open_sink
    from host.detect.soaking import SoakObserver
    from host.detect.sources import open_source
    from models.detector.judging import LEAST_SCORE

    settings = Settings(policy=wanted.policy, least_score=LEAST_SCORE if wanted.judge else wanted.least_score)
    with contextlib.ExitStack() as stack:
        source = open_source(wanted.source, frames=wanted.frames, data=wanted.data)
        stack.callback(source.close)
        opened = stack.enter_context(_engine(wanted))
        if wanted.timeline is not None:
            _make_room(wanted.timeline)
        unopened = stack.enter_context(contextlib.ExitStack())
        sinks = []
        for text in wanted.sinks:
            sinks.append(open_sink(text, rate=source.rate))
            unopened.callback(sinks[-1].close)
        judged = JudgeSink(len(wanted.detector.classes)) if wanted.judge else None
        soaked = SoakObserver(wanted.frames or 1000) if wanted.soak else None
        if wanted.policy == "drop-oldest" and source.rate and not source.live:
            settings = settings.replace(pause_s=1 / source.rate)
        pipeline = Pipeline(
            source, opened.engine, [*sinks, *([judged] if judged else [])],
            classes=wanted.detector.classes, settings=settings, observers=[soaked] if soaked else [],
        )  # fmt: skip
        introduce(console, source.name, opened, sinks)
        unopened.pop_all()  # the pipeline closes them from here on
        summary = run_with_progress(console, pipeline, wanted.frames)
        cycles = opened.simulation.cycles if opened.simulation else 0
    report(console, summary)
    if wanted.timeline is not None:
        from host.detect.timeline import write_timeline

        console.print(f"timeline: {write_timeline(summary, wanted.timeline)}", soft_wrap=True)
    figures = _figures(console, wanted, opened, summary, judged, soaked, cycles)
    if figures:
        name = "_".join(["detect", opened.preset or "model", *(["judged"] if judged else [])])
        _keep(console, wanted, name + ("_soak" if soaked else ""), figures)
    if wanted.compare and opened.engine.different:  # type: ignore[attr-defined]
        return DIFFERENT
    if summary.broken or not (summary.frames or summary.interrupted):
        return _say(console, summary.broken or f"{source.name} holds no picture that can be read", USAGE)
    return DONE


def _make_room(timeline: Path) -> None:
    """Find out before a long run whether its picture can be written."""
    if timeline.suffix != ".svg":
        raise ValueError(f"the timeline is an .svg file, not {str(timeline)!r}")
    try:
        timeline.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"the timeline {str(timeline)!r} cannot be written: {error.strerror}") from error


def _engine(wanted: Wanted) -> contextlib.AbstractContextManager[OpenedEngine]:
    from scripts.detect_engines import open_engine

    return open_engine(
        wanted.board, wanted.detector, wanted.size, preset=wanted.preset, binary=wanted.binary,
        compare=wanted.compare, profile_every=1 if wanted.board == "sim" else 0,
    )  # fmt: skip


def _figures(
    console: Console, wanted: Wanted, opened: OpenedEngine, summary: Summary, judged, soaked, cycles: int
) -> dict[str, float]:
    """What is worth keeping of this run; said, too."""
    figures: dict[str, float] = {}
    if wanted.compare:
        compared: ComparedEngine = opened.engine  # type: ignore[assignment]
        console.print(
            f"{compared.compared:,} integers of {compared.frames:,} frames compared with the integer "
            f"program: {compared.different:,} differ"
        )
        stem = f"detect.{opened.preset or 'model'}"
        figures |= {f"{stem}.compared_frames": compared.frames, f"{stem}.mismatches": compared.different}
    if judged is not None:
        precision = judged.precision().mean
        console.print(f"mAP (VOC2007) of {summary.frames:,} pictures through the pipeline: {precision:.4f}")
        figures["detect.pipeline_map_voc07"] = precision
        figures["detect.pipeline_pictures"] = summary.frames
    if soaked is not None:
        console.print(
            f"{soaked.frames:,} frames, {soaked.out_of_order} out of order, memory grew by "
            f"{soaked.growth_mb:.1f} MB after the first fifth"
        )
        figures |= {
            "detect.soak_frames": soaked.frames,
            "detect.soak_out_of_order": soaked.out_of_order,
            "detect.soak_memory_growth_mb": soaked.growth_mb,
        }
    return figures | _rate(console, wanted, opened, cycles)


def _keep(console: Console, wanted: Wanted, name: str, figures: dict[str, float]) -> None:
    """Among the project's figures, but for those of runs that nothing could be compared with."""
    from scripts.figures import record

    whole = wanted.frames is None and wanted.source in ("voc", "voc:test_split")
    if wanted.judge and not (whole and wanted.size == (FULL_SIDE, FULL_SIDE)):
        missed = f"--judge of all of --source voc at {FULL_SIDE}x{FULL_SIDE}"
    elif wanted.soak and (wanted.frames or 0) < SOAK_FRAMES:
        missed = f"--soak of {SOAK_FRAMES:,} --frames or more"
    else:
        console.print(f"written to {record(name, figures)}", soft_wrap=True)
        return
    console.print(f"not written to build/reports, which takes {missed}", style="dim", soft_wrap=True)


def _rate(console: Console, wanted: Wanted, opened: OpenedEngine, cycles: int) -> dict[str, float]:
    """Frames a second of a preset: the cycles that the RTL took over the clock that is assumed."""
    layers = opened.engine.profile()
    if not layers:
        return {}
    frame = sum(layer["cycles"] for layer in layers)
    console.print(f"{frame:,} cycles a frame of {wanted.size[1]}x{wanted.size[0]} ({cycles:,} in all)")
    clock = ASSUMED_MHZ.get(opened.preset)
    if clock is None or wanted.size != (FULL_SIDE, FULL_SIDE):
        return {}
    rate = clock * 1e6 / frame
    console.print(f"{rate:.2f} frames a second at {clock:g} MHz, a clock that is assumed")
    return {f"detect.{opened.preset}.fps": rate, f"detect.{opened.preset}.cycles": frame}


def _say(console: Console, message: str, code: int) -> int:
    console.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return code
