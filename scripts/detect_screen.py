"""What `colonnade detect` shows while it runs and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from host.detect.pipeline import Pipeline
    from host.detect.summary import Summary
    from scripts.detect_engines import OpenedEngine

__all__ = ["introduce", "report", "run_with_progress"]


def introduce(console: Console, source: str, opened: OpenedEngine, sinks: list) -> None:
    from host.detect.mjpeg import MjpegSink

    facts = opened.engine.facts | {"source": source}
    facts |= {
        f"live picture {place}": one.url for place, one in enumerate(sinks) if isinstance(one, MjpegSink)
    }
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", style="dim", highlight=False, markup=False, soft_wrap=True)


def run_with_progress(console: Console, pipeline: Pipeline, frames: int | None) -> Summary:
    """With progress on the screen; q in a window ends it as Ctrl-C does."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from host.detect.sinks import WindowSink

    windows = [sink for sink in pipeline.sinks if isinstance(sink, WindowSink)]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("waiting for the first frame", total=frames)

        def told(_event) -> None:
            now = pipeline.progress
            progress.update(
                task, completed=now.frames, description=f"{now.frames:,} frames, {now.fps:.1f} a second"
            )
            if any(window.quit for window in windows):
                pipeline.stop()

        pipeline.observe(told)
        return pipeline.run(frames=frames)


def report(console: Console, summary: Summary) -> None:
    from rich.table import Table

    table = Table("stage", "p50 ms", "p99 ms", "most ms", "alone, frames/s", title="Stages")
    for name, one in summary.stages.items():
        style = "bold" if name == summary.slowest else ""
        cells = (f"{value:,.2f}" for value in (one.p50_ms, one.p99_ms, one.max_ms))
        rate = f"{one.fps:,.0f}" if one.fps >= 100 else f"{one.fps:.2f}"
        table.add_row(name, *cells, rate, style=style)
    console.print(table)
    for line in summary.lines():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
