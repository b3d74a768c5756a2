"""`colonnade detect --measure`: what every stage costs on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING

from scripts.detect_screen import report, run_with_progress

if TYPE_CHECKING:
    from rich.console import Console

    from scripts.detect import Wanted
    from scripts.detect_engines import OpenedEngine

__all__ = ["measure"]

FRAMES = 50


def measure(console: Console, wanted: Wanted, engine: AbstractContextManager[OpenedEngine]) -> None:
    """Every stage alone in one thread; then the pipeline, for its rate."""
    import cv2
    import numpy as np
    from rich.progress import track
    from rich.table import Table

    from host.detect.measuring import HOST_STAGES, packing_times, stage_times
    from host.detect.pipeline import Pipeline, Settings
    from host.detect.sources import open_source
    from scripts.detect import FULL_SIDE
    from scripts.detect_engines import tile_binary
    from scripts.figures import record

    count = wanted.frames or FRAMES
    cv2.setNumThreads(1)
    with engine as opened:
        source = open_source(wanted.source, frames=count, data=wanted.data)
        frames = list(islice(source.frames(), count))
        source.close()
        spent = stage_times(
            track(frames, "stage by stage", console=console, transient=True),
            opened.engine, classes=wanted.detector.classes, least_score=wanted.least_score,
        )  # fmt: skip
        again = open_source(wanted.source, frames=count, data=wanted.data)
        pipeline = Pipeline(
            again, opened.engine, classes=wanted.detector.classes, settings=Settings(policy="block")
        )
        summary = run_with_progress(console, pipeline, count)
        again.close()
    stages = list(HOST_STAGES)
    if wanted.preset or wanted.binary:
        packing = packing_times(
            tile_binary(wanted.detector, wanted.size, wanted.preset, wanted.binary), count=count
        )
        spent |= packing
        stages += packing
    table = Table("stage, alone", "p50 ms", "p99 ms", title=f"{len(frames)} frames, one thread")
    for stage, values in spent.items():
        table.add_row(stage, f"{np.median(values):.3f}", f"{np.percentile(values, 99):.3f}")
    console.print(table)
    report(console, summary)
    figures = {f"detect.{stage}_ms": float(np.median(spent[stage])) for stage in stages}
    figures["detect.host_stage_ms_max"] = max(figures.values())
    if wanted.board == "model":
        figures["detect.model.fps"] = summary.fps
    console.print(f"slowest stage of the host: {figures['detect.host_stage_ms_max']:.3f} ms (median)")
    if wanted.size == (FULL_SIDE, FULL_SIDE):
        console.print(f"written to {record('detect_stages', figures)}", soft_wrap=True)
    else:
        missed = f"not written to build/reports, which takes --size {FULL_SIDE}"
        console.print(missed, style="dim", soft_wrap=True)
