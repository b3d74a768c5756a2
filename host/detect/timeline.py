"""The stages over time as a picture: which frame was where when, and which stage the others wait for."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np

from host.detect.clocks import StageFigures
from host.detect.frames import Span
from host.detect.summary import Summary

__all__ = ["timeline_svg", "write_timeline"]

#: Frames that are drawn: the middle one of the recent ones, and its neighbours.
SHOWN = 8
WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 960, 90, 170, 40, 34, 40
COLOURS = ("#2a6fb0", "#c4372b", "#3c8d40", "#8a5bb0", "#c98516", "#1c8f94", "#b0487f", "#6b7784")


def timeline_svg(summary: Summary) -> str:
    """A row a stage and a bar a frame, of the latest frames that passed through every stage."""
    shown = _shown(summary.spans)
    bars = {
        stage: [(index, span) for index, span in spans if index in shown]
        for stage, spans in summary.spans.items()
    }
    moments = [moment for spans in bars.values() for _, span in spans for moment in span]
    start, end = (min(moments), max(moments)) if moments else (0.0, 1e-3)
    end = max(end, start + 1e-6)
    height = TOP + ROW * len(bars) + BOTTOM

    def x_of(moment: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (moment - start) / (end - start)

    slowest = summary.slowest
    title = f"Detection pipeline: {summary.frames:,} frames, {summary.fps:.1f} a second; {slowest} is slowest"
    parts = [_text(LEFT, 20, title, anchor="start", weight="bold")]
    for row, (stage, spans) in enumerate(bars.items()):
        top = TOP + ROW * row
        parts.append(
            _text(LEFT - 8, top + 19, stage, anchor="end", weight="bold" if stage == slowest else "")
        )
        parts.append(f'<path d="M{LEFT} {top + ROW - 3}H{WIDTH - RIGHT}" stroke="#d5dce4" stroke-width="1"/>')
        for index, span in spans:
            parts.append(_bar(index, span, top, x_of(span[0]), x_of(span[1])))
        parts.append(_text(WIDTH - RIGHT + 8, top + 19, _figures(summary.stages[stage]), anchor="start"))
    base = TOP + ROW * len(bars)
    for share in np.linspace(0, 1, 6).tolist():
        moment = start + share * (end - start)
        parts.append(_text(x_of(moment), base + 16, _milliseconds(moment - start)))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, base + 32, "milliseconds; a colour is a frame"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>{"".join(parts)}</svg>\n'
    )


def write_timeline(summary: Summary, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(timeline_svg(summary), encoding="utf-8")
    partial.replace(path)
    return path


def _shown(spans: dict[str, list[tuple[int, Span]]]) -> set[int]:
    everywhere = sorted(set.intersection(*({index for index, _ in one} for one in spans.values())))
    middle = max(0, len(everywhere) // 2 - SHOWN // 2)
    return set(everywhere[middle : middle + SHOWN])


def _bar(index: int, span: Span, top: float, left: float, right: float) -> str:
    colour = COLOURS[index % len(COLOURS)]
    width = max(1.0, right - left)
    bar = f'<rect x="{left:.1f}" y="{top + 4}" width="{width:.1f}" height="{ROW - 12}" fill="{colour}"/>'
    told = f"<title>frame {index}: {1000 * (span[1] - span[0]):.2f} ms</title>"
    label = _text(left + width / 2, top + 20, str(index), fill="white") if width > 22 else ""
    return f"<g>{told}{bar}{label}</g>"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f}" if seconds >= 0.01 else f"{1000 * seconds:.3g}"


def _figures(stage: StageFigures) -> str:
    return f"{stage.p50_ms:.2f} ms, p99 {stage.p99_ms:.2f}"


def _text(
    x: float, y: float, text: str, *, anchor: str = "middle", fill: str = "#1d2733", weight: str = ""
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"{bold}>{html.escape(text)}</text>'
    )
