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
    from models.detector.zoo import Detector

REPORT = "report.html"
ENGINE, SIDE = "z7020", 512
EVALUATE_CAN = "colonnade evaluate can_ids"
#: In the public domain (James S. Davis, US Navy), and there wherever matplotlib is.
PORTRAIT = "grace_hopper.jpg"


def command(
    out: Path | None = typer.Option(None, help="The file; build/reports/report.html if left out."),
    compiling: bool = typer.Option(
        True, "--compile/--no-compile", help="Compile the detector for lane use and roofline."
    ),
    pictures: Path | None = typer.Option(None, help="Also write the plots into this folder, a file each."),
) -> None:
    """Write one self-contained page: figures beside goals and peers, plots, and what makes what is missing.

    Example: `colonnade report --out report.html`
    """
    report = gather(compiling=compiling)
    for path in report.write_pictures(pictures) if pictures else ():
        typer.echo(f"picture: {path}")
    typer.echo(f"report: {report.write(out or figures.REPORTS / REPORT)}")


def write_report(out: Path | None = None, *, compiling: bool = True) -> Path:
    """The path of the page."""
    return gather(compiling=compiling).write(out or figures.REPORTS / REPORT)


def gather(*, compiling: bool = True) -> Report:
    """Everything that there is, and a word on what is missing."""
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
    return report


def _recorded() -> list[dict]:
    contents = [json.loads(path.read_text()) for path in sorted(figures.REPORTS.glob("*.json"))]
    return [content for content in contents if "figures" in content]


def _add_intrusion(report: Report) -> None:
    from host.overview import Picture, add_confusion, add_course, add_latency, add_picture

    folder, docs = figures.REPORTS / "can_ids", figures.ROOT / "docs"
    report.heading("CAN intrusion detection")
    add_confusion(
        report, folder / "evaluation.json", model="ours", command="colonnade evaluate can_ids --exact"
    )
    run = figures.REPORTS / "ids" / "demo.json"
    add_course(report, run, command="colonnade demo")
    add_latency(report, run, command="colonnade demo")
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
    from host.overview import Picture, add_picture, add_precision
    from models.detector.zoo import ZOO, detector_names

    name = detector_names()[-1]  # the best stands last
    stem = f"detector_{name}"
    report.heading("Object detection")
    if compiling:
        report.picture(
            _portrait(name),
            f"What detector {name} sees in a portrait of Grace Hopper (James S. Davis, US Navy, public "
            f"domain), by the integer program at {SIDE}x{SIDE}.",
            name="detection",
        )
    add_precision(
        report,
        figures.REPORTS / "detector" / f"{stem}.json",
        command=f"colonnade evaluate detector --model {name}",
    )
    add_picture(
        report,
        Picture(
            paths=[ZOO / f"{stem}_curve.png"],
            caption="Learning curve of the detector that ships.",
            command=f"colonnade train detector --model {name}",
        ),
    )
    add_picture(
        report,
        Picture(
            paths=[figures.REPORTS / "detect_timeline.svg"],
            caption="The pipeline at work: which frame each stage holds over time.",
            command="colonnade demo",
            name="pipeline",
        ),
    )
    _add_engine(report, name, compiling=compiling)


def _add_engine(report: Report, name: str, *, compiling: bool) -> None:
    from host.overview import Picture, add_lane_use, add_picture

    report.heading("Convolution engine")
    what = f"detector_{name} at {SIDE}x{SIDE} on the engine {ENGINE}, as the compiler foresees it"
    try:
        layers, lanes, roofline = _compiled(name) if compiling else ([], 1, Path())
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
            caption=f"Roofline of {what}: work a cycle over work a byte, a dot for layers that take turns.",
            command=f"colonnade compile models/zoo/detector_{name}.onnx --size {SIDE} --engine {ENGINE} "
            "--roofline roofline.svg",
            name="roofline",
        ),
    )


def _compiled(name: str) -> tuple[list[LayerUse], int, Path]:
    """What the compiler foresees."""
    from host.overview import LayerUse
    from hw.tile import listing
    from hw.tile.compile import compile_program
    from hw.tile.preset import preset
    from hw.tile.siblings import SIBLINGS
    from models.detector.cost import resized
    from models.detector.zoo import load_detector

    engine = preset(ENGINE)
    detector = load_detector(name)
    compiled = compile_program(resized(detector.program, (SIDE, SIDE)), engine)
    figures.REPORTS.mkdir(parents=True, exist_ok=True)
    roofline = figures.REPORTS / "roofline.svg"
    listing.roofline(compiled, roofline)
    called = _layer_names(detector)
    layers = [
        LayerUse(
            name=SIBLINGS.join(called.get(part, part) for part in cost.name.split(SIBLINGS)),
            products=cost.products,
            cycles=cost.cycles,
        )
        for cost in compiled.costs
    ]
    return layers, engine.lanes, roofline


def _layer_names(detector: Detector) -> dict[str, str]:
    """What the network's author calls each convolution, by the name that the export gave it."""
    exported = [op.name for op in detector.program.ops if op.kind == "Convolution"]
    named = detector.described.get("layers", [])
    return dict(zip(exported, named, strict=True)) if len(named) == len(exported) else {}


def _portrait(name: str) -> Path:
    """Boxes drawn into the portrait; kept by the hash of the model."""
    import cv2
    from matplotlib.cbook import get_sample_data

    from host.detect.drawing import draw
    from models.detector.boxes import detect, letterbox, sorted_pixels
    from models.detector.zoo import load_detector

    detector = load_detector(name)
    path = figures.REPORTS / "detector" / f"portrait_{detector.program.digest[:12]}_{SIDE}.jpg"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = cv2.imread(str(get_sample_data(PORTRAIT, asfileobj=False)))
        canvas, placement = letterbox(picture, (SIDE, SIDE))
        maps = detector.runner((SIDE, SIDE))(sorted_pixels(canvas)[None])
        height, width = picture.shape[:2]
        found = detect(tuple(one[0] for one in maps), placement, (height, width))
        partial = path.with_suffix(".partial.jpg")
        cv2.imwrite(str(partial), draw(picture, found, detector.classes), [cv2.IMWRITE_JPEG_QUALITY, 88])
        partial.replace(path)
    return path
