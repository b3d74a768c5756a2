"""`colonnade report`: everything that was measured and drawn, in one HTML file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import tomllib
import typer

from scripts import figures

if TYPE_CHECKING:
    from host.overview import LayerUse
    from host.report import Report

REPORT = "report.html"
ENGINE, DETECTOR, SIDE = "z7020", "nano_two", 512
EVALUATE_CAN = "colonnade evaluate can_ids"
DETECT = "colonnade detect --source FOLDER --board sim"


def command(
    out: Path | None = typer.Option(None, help="The file; build/reports/report.html if left out."),
    compiling: bool = typer.Option(
        True, "--compile/--no-compile", help="Compile the detector for lane use and roofline."
    ),
) -> None:
    """Write one self-contained page: figures beside goals and peers, plots, and what makes what is missing.

    Example: `colonnade report --out report.html`
    """
    typer.echo(f"report: {write_report(out, compiling=compiling)}")


def write_report(out: Path | None = None, *, compiling: bool = True) -> Path:
    """The path of the page."""
    from host import overview
    from host.report import Report

    committed = json.loads(figures.COMMITTED.read_text()) if figures.COMMITTED.exists() else {}
    merged = figures.merge(committed, _recorded())
    report = Report("Colonnade: what was measured", contents=True)
    report.heading("Figures beside goals and peers")
    overview.add_goals(report, merged, tomllib.loads(figures.GOALS.read_text()), is_met=figures.is_met)
    _add_intrusion(report)
    _add_detection(report, compiling=compiling)
    report.heading("Every figure")
    overview.add_every_figure(report, merged)
    return report.write(out or figures.REPORTS / REPORT)


def _recorded() -> list[dict]:
    contents = [json.loads(path.read_text()) for path in sorted(figures.REPORTS.glob("*.json"))]
    return [content for content in contents if "figures" in content]


def _add_intrusion(report: Report) -> None:
    from host.overview import Picture, add_confusion, add_latency, add_picture

    folder, docs = figures.REPORTS / "can_ids", figures.ROOT / "docs"
    report.heading("CAN intrusion detection")
    add_confusion(
        report, folder / "evaluation.json", model="ours", command="colonnade evaluate can_ids --exact"
    )
    add_latency(report, figures.REPORTS / "ids" / "demo.json", command="colonnade demo")
    add_picture(
        report,
        Picture(
            paths=[folder / "can_ids_pareto.png", docs / "can_ids_pareto.png"],
            caption="Networks that the search tried: validation windows judged wrongly over modelled cost.",
            command="colonnade search can_ids",
        ),
    )
    add_picture(
        report,
        Picture(
            paths=[folder / "can_ids_roc.png", docs / "can_ids_roc.png"],
            caption="Attack frames found over false alarms, by threshold.",
            command=EVALUATE_CAN,
        ),
    )


def _add_detection(report: Report, *, compiling: bool) -> None:
    from host.overview import Picture, add_lane_use, add_picture, add_precision
    from models.detector.zoo import ZOO

    stem = f"detector_{DETECTOR}"
    report.heading("Object detection")
    add_precision(
        report,
        figures.REPORTS / "detector" / f"{stem}.json",
        command=f"colonnade evaluate detector --model {DETECTOR}",
    )
    add_picture(
        report,
        Picture(
            paths=[ZOO / f"{stem}_curve.png"],
            caption="Learning curve of the detector that ships.",
            command=f"colonnade train detector --model {DETECTOR}",
        ),
    )
    timelines = sorted(figures.REPORTS.glob("**/*timeline*.svg"))
    add_picture(
        report,
        Picture(
            paths=timelines,
            caption="The pipeline at work: which frame each stage holds over time.",
            command=DETECT,
        ),
    )
    report.heading("Convolution engine")
    what = f"{stem} at {SIDE}x{SIDE} on the engine {ENGINE}, as the compiler foresees it"
    try:
        layers, lanes, roofline = _compiled() if compiling else ([], 1, Path())
    except ValueError as error:
        report.text(f"{what}: {error}")
        return
    if not layers:
        report.missing(f"Lane use and roofline of {what}", "colonnade report --compile")
        return
    add_lane_use(report, layers, lanes=lanes, what=what)
    add_picture(
        report,
        Picture(
            paths=[roofline],
            caption=f"Roofline of {what}: work a cycle over work a byte, a dot a layer.",
            command=f"colonnade compile {stem}.onnx --engine {ENGINE} --roofline roofline.svg",
        ),
    )


def _compiled() -> tuple[list[LayerUse], int, Path]:
    """What the compiler foresees; kept by the hashes of the model and of the engine."""
    from host.overview import LayerUse
    from hw.tile import listing
    from hw.tile.compile import compile_program
    from hw.tile.preset import preset
    from models.detector.cost import resized
    from models.detector.zoo import load_detector

    engine = preset(ENGINE)
    program = resized(load_detector(DETECTOR).program, (SIDE, SIDE))
    folder = figures.REPORTS / "tile" / f"{program.digest[:12]}_{engine.target_hash}"
    kept, roofline = folder / "layers.json", folder / "roofline.svg"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        compiled = compile_program(program, engine)
        listing.roofline(compiled, roofline)
        rows = [{"name": cost.name, "macs": cost.macs, "cycles": cost.cycles} for cost in compiled.costs]
        partial = kept.with_suffix(".partial")
        partial.write_text(json.dumps(rows))
        partial.replace(kept)
    return [LayerUse(**row) for row in json.loads(kept.read_text())], engine.lanes, roofline
