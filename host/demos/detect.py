"""Objects in pictures, twice: on the tile engine, checked integer by integer, and large on the processor.

Runs unchanged on a PYNQ board (`python -m host.demos.detect detector.tile`) and on the simulated one
(`colonnade simulate host/demos/detect.py --overlay tile -- detector.tile`). The binary is what
`colonnade compile` makes of a detector; its size is that of the first part.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from host.detect.drawing import draw
from host.detect.engines import ComparedEngine, Engine, ModelEngine
from host.detect.fabric import TileEngine
from host.detect.frames import FrameEvent
from host.detect.pipeline import Pipeline, Settings
from host.detect.sources import PicturesSource
from host.detect.summary import Summary
from host.detect.timeline import write_timeline
from host.tile import TileBinary
from models.detector.boxes import letterbox
from models.detector.cost import resized
from models.detector.evaluation import test_pictures
from models.detector.judging import LEAST_SCORE
from models.detector.pictures import PictureSet
from models.detector.zoo import Detector, detector_names, load_detector

REPORTS = Path("build") / "reports"
#: Pictures on the engine, where a small one takes seconds in simulation; and on the processor.
ENGINE_PICTURES, PICTURES = 2, 20
SIDE = 512
#: Of a picture on the sheet, and pictures in a row of it.
TILE, ROW = 256, 5


def spread(count: int) -> PictureSet:
    """Pictures from all over the test split, or generated scenes where there are no photographs."""
    pictures, _ = test_pictures(None)
    places = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).astype(int)
    return pictures.select(tuple(pictures.names[place] for place in places), pictures.description)


def through(
    engine: Engine, count: int, detector: Detector, least_score: float
) -> tuple[list[FrameEvent], Summary]:
    events: list[FrameEvent] = []
    pipeline = Pipeline(
        PicturesSource(spread(count)), engine, classes=detector.classes,
        settings=Settings(least_score=least_score), observers=[events.append],
    )  # fmt: skip
    return events, pipeline.run()


def on_the_engine(console: Console, detector: Detector, binary: TileBinary) -> None:
    """The same pictures by the engine and by the integer program; anything that differs ends the demo."""
    _, height, width = binary.header["input"]["tensor"]
    size = (2 * height, 2 * width)
    engine = TileEngine(binary, resized(detector.program, size).outputs, profile_every=1)
    try:
        compared = ComparedEngine(engine, ModelEngine(detector, size))
        for name, fact in compared.facts.items():
            console.print(f"{name}: {fact}", style="dim", highlight=False, soft_wrap=True)
        found, _ = through(compared, ENGINE_PICTURES, detector, LEAST_SCORE)
    finally:
        engine.close()
    expected, _ = through(ModelEngine(detector, size), ENGINE_PICTURES, detector, LEAST_SCORE)
    if compared.different or not all(map(same_boxes, found, expected)):
        raise SystemExit(f"{compared.different} integers of the engine differ from the integer program's")
    boxes = sum(len(event.detections) for event in found)
    cycles = sum(layer["cycles"] for layer in engine.profile())
    console.print(
        f"{len(found)} pictures at {size[1]}x{size[0]}: {compared.compared:,} integers and {boxes:,} boxes, "
        f"all equal to the integer program's; {cycles:,} cycles a frame",
        soft_wrap=True,
    )


def same_boxes(one: FrameEvent, other: FrameEvent) -> bool:
    mine, yours = one.detections, other.detections
    return all(
        np.array_equal(getattr(mine, name), getattr(yours, name)) for name in ("boxes", "scores", "classes")
    )


def at_full_size(console: Console, detector: Detector, folder: Path) -> None:
    """All stages in threads, what each takes, and a sheet of what was seen."""
    events, summary = through(ModelEngine(detector, (SIDE, SIDE)), PICTURES, detector, 0.4)
    table = Table("stage", "p50 ms", "p99 ms", title=f"{len(events)} at {SIDE}x{SIDE}")
    for name, stage in summary.stages.items():
        table.add_row(name, f"{stage.p50_ms:.2f}", f"{stage.p99_ms:.2f}")
    console.print(table)
    for line in summary.lines():
        console.print(line, highlight=False, soft_wrap=True)
    timeline = write_timeline(summary, folder / "detect_timeline.svg")
    console.print(f"stages over time: {timeline}", highlight=False, soft_wrap=True)
    console.print(
        f"what was seen: {write_sheet(events, folder / 'detect_demo.jpg')}", highlight=False, soft_wrap=True
    )


def write_sheet(events: list[FrameEvent], path: Path) -> Path:
    """Every picture with its boxes, a tile each."""
    import cv2

    tiles = []
    for event in events:
        drawn = draw(event.pixels, event.detections, event.classes)
        tiles.append(letterbox(drawn, (TILE, TILE))[0])
    tiles += [np.full((TILE, TILE, 3), 114, np.uint8)] * (-len(tiles) % ROW)
    rows = [np.concatenate(tiles[start : start + ROW], axis=1) for start in range(0, len(tiles), ROW)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".partial{path.suffix}")
    if not cv2.imwrite(str(partial), np.concatenate(rows)):
        raise SystemExit(f"{path} cannot be written")
    partial.replace(path)
    return path


def main(binary: Path, folder: Path = REPORTS) -> None:
    """Both parts, on the detector of the zoo that stands last, the best."""
    console = Console()
    detector = load_detector(detector_names()[-1])
    on_the_engine(console, detector, TileBinary.read(binary))
    at_full_size(console, detector, folder)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(
            "name the binary of a detector: colonnade compile models/zoo/detector_<name>.onnx --output ..."
        )
    main(*map(Path, sys.argv[1:3]))
