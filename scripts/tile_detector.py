"""The detector's side of `colonnade tile`: exactness, cycles and lane use of real frames."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from hw.tile.preset import Preset
    from models.detector.pictures import PictureSet
    from models.detector.zoo import Detector
    from sim.campaigns.tile_detector import DetectorRun

__all__ = ["CLOCKS_MHZ", "measure_detector"]

#: Clocks that frames a second are stated at: what the boards' designs aim for, assumed here.
CLOCKS_MHZ = {"z7020": 100.0, "zu3eg": 150.0, "zu7ev": 200.0}
#: Whose lane use is the detector's figure.
MAIN_PRESET = "z7020"
FULL_SIDE = 512
COLUMNS = (
    "layer", "kind", "MMAC", "cycles", "foreseen", "lane use", "wait load", "wait store", "wait drain",
    "read KiB", "write KiB",
)  # fmt: skip


def measure_detector(
    console: Console,
    *,
    name: str,
    runs: list[str],
    engines: Callable[[str], Preset],
    folder: Path,
    data: Path | None,
) -> tuple[dict[str, float], int]:
    """Figures, and how many elements were wrong in all. A run is `PRESET:SIDE:PICTURES`."""
    from models.detector.evaluation import test_pictures
    from models.detector.zoo import load_detector

    detector = load_detector(name)
    pictures, missing = test_pictures(data)
    if missing:
        console.print(f"{missing} Generated scenes instead.", style="yellow", markup=False, soft_wrap=True)
    figures: dict[str, float] = {}
    wrong = 0
    for preset, side, count in map(parse_run, runs):
        run = _run(detector, engines(preset), side, count, pictures)
        wrong += run.mismatches
        console.print(
            f"{detector.name} on {preset}, simulator {run.build}: {run.pictures} pictures of {side}x{side}, "
            f"{run.elements:,} elements, {run.mismatches:,} wrong; {run.cycles:,} cycles a frame",
            soft_wrap=True,
        )
        stem = f"tile.detector_{preset}_{side}"
        figures |= {f"{stem}_pictures": run.pictures, f"{stem}_mismatches": run.mismatches}
        if side == FULL_SIDE:
            figures |= _costs(console, run, folder)
    figures["tile.detector_mismatches"] = wrong
    return figures, wrong


def parse_run(text: str) -> tuple[str, int, int]:
    """`z7020:512:2` as preset, side and number of pictures."""
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in parts[1:]) or int(parts[2]) < 1:
        raise ValueError(f"a run is PRESET:SIDE:PICTURES such as z7020:512:2, not {text!r}")
    return parts[0], int(parts[1]), int(parts[2])


def _run(detector: Detector, preset: Preset, side: int, count: int, pictures: PictureSet) -> DetectorRun:
    import numpy as np

    from models.detector.cost import resized
    from models.detector.evaluation import canvases
    from sim.campaigns.tile_detector import run_detector

    size = (side, side)
    samples = canvases(pictures, count, size).astype(np.int64)
    return run_detector(resized(detector.program, size), preset, samples)


def _costs(console: Console, run: DetectorRun, folder: Path) -> dict[str, float]:
    """Of a frame at full size: a table, the same as a file, and the figures."""
    from rich.table import Table

    preset = run.preset.name
    table = Table(*COLUMNS, title=f"a frame of {FULL_SIDE}x{FULL_SIDE} on {preset}, by the engine's counters")
    for layer in run.layers:
        table.add_row(
            layer.name,
            layer.kind,
            f"{layer.macs / 1e6:.2f}",
            f"{layer.cycles:,}",
            f"{layer.foreseen:,}",
            f"{layer.use(run.preset.lanes):.1%}",
            *(f"{wait:,}" for wait in (layer.wait_load, layer.wait_store, layer.wait_drain)),
            f"{layer.read_bytes / 1024:,.1f}",
            f"{layer.write_bytes / 1024:,.1f}",
        )
    console.print(table)
    for kind in sorted({layer.kind for layer in run.layers}):
        console.print(
            f"{kind:10} {run.share(kind):6.1%} of the cycles, {run.lane_use(kind):6.1%} of the lanes, "
            f"{run.lanes_working(kind):6.1%} while the array works"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"tile_detector_{preset}.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(run.layers[0])))
        writer.writeheader()
        writer.writerows(asdict(layer) for layer in run.layers)
    console.print(f"table: {path}", soft_wrap=True)
    figures = {
        f"tile.detector_{preset}_cycles": run.cycles,
        f"tile.detector_{preset}_lane_use": run.lane_use(),
        f"tile.detector_{preset}_megabytes": run.memory_bytes / 1e6,
        f"tile.detector_{preset}_dense_lane_use": run.lane_use("dense"),
        f"tile.detector_{preset}_depthwise_lane_use": run.lane_use("depthwise"),
        f"tile.detector_{preset}_depthwise_lanes_working": run.lanes_working("depthwise"),
        f"tile.detector_{preset}_model_error_max": run.model_error_max,
    }
    if preset == MAIN_PRESET:
        figures["tile.detector_lane_use"] = run.lane_use()
    if preset in CLOCKS_MHZ:
        clock = CLOCKS_MHZ[preset]
        rate = run.frames_per_second(clock)
        figures[f"detect.{preset}.fps"] = rate
        console.print(f"{rate:.2f} frames a second at {clock:g} MHz, a clock that is assumed")
    return figures
