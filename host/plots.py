"""Plots as SVG text, for reports that a board must be able to make: no library, no file."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

__all__ = ["BLUE", "RED", "bars", "curves", "histogram", "matrix", "standalone", "timeline"]

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 14, 46
BLUE, RED = "#2a6fb0", "#c4372b"


def _text(x: float, y: float, text: str, *, anchor: str = "middle", fill: str = "") -> str:
    colour = f' style="fill:{fill}"' if fill else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{colour}>{html.escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'
    )


def standalone(svg: str) -> str:
    """The same plot for a file of its own: with a ground and a font, which a page would give it."""
    opening, rest = svg.split(">", 1)
    style = "<style>text { font: 12px system-ui, sans-serif; fill: #1d2733; }</style>"
    return f'{opening}>{style}<rect width="100%" height="100%" fill="#fff"/>{rest}\n'


def _axes(x_label: str, y_label: str, y_most: float, x_ticks: Sequence[tuple[float, str]]) -> list[str]:
    base = HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {TOP}V{base}H{WIDTH - RIGHT}" fill="none" stroke="#8794a1"/>']
    parts += [
        _text(LEFT - 6, base + 4, "0", anchor="end"),
        _text(LEFT - 6, TOP + 8, f"{y_most:,.0f}" if y_most >= 10 else f"{y_most:.3g}", anchor="end"),
    ]
    parts += [_text(x, base + 16, label) for x, label in x_ticks]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label))
    parts.append(_text(LEFT, TOP - 3, y_label, anchor="start"))
    return parts


def histogram(
    values: np.ndarray, *, x_label: str, y_label: str, bins: int = 60, marks: Sequence[tuple[float, str]] = ()
) -> str:
    """How often each value occurs; `marks` are vertical lines with a name."""
    everything = np.concatenate([np.asarray(values, float), [at for at, _ in marks]])
    low, high = (float(everything.min()), float(everything.max())) if len(everything) else (0.0, 1.0)
    if high - low < 1:
        low, high = low - 0.5, high + 0.5
    bins = int(min(bins, max(1, np.ceil(high - low)))) if high - low > 2 else bins
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    most = max(1, int(counts.max()))
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x_of(value: float) -> float:
        return LEFT + across * (value - low) / (high - low)

    parts = []
    for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            tall = max(1.0, down * count / most)
            parts.append(
                f'<rect x="{x_of(start):.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" height="{tall:.1f}" '
                f'width="{max(1.0, x_of(end) - x_of(start) - 0.5):.1f}" fill="{BLUE}"/>'
            )
    for at, name in marks:
        x = x_of(at)
        parts.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{RED}" stroke-dasharray="4 3"/>')
        beyond = x > LEFT + across / 2
        parts.append(
            _text(x - 4 if beyond else x + 4, TOP + 12, name, anchor="end" if beyond else "start", fill=RED)
        )
    ticks = [(x_of(value), f"{value:,.4g}") for value in np.linspace(low, high, 6).tolist()]
    return _svg(WIDTH, HEIGHT, [*parts, *_axes(x_label, y_label, most, ticks)])


def matrix(counts: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> str:
    """A confusion matrix: counts, shaded by their share of the row."""
    cell_width, cell_height, left, top = 110, 40, 130, 46
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    parts = [_text(left + cell_width * len(columns) / 2, 14, "verdict")]
    parts += [_text(left + cell_width * (index + 0.5), top - 8, name) for index, name in enumerate(columns)]
    for row, name in enumerate(rows):
        parts.append(_text(left - 8, top + cell_height * (row + 0.6), name, anchor="end"))
        for column in range(len(columns)):
            share = float(shares[row, column])
            x, y = left + cell_width * column, top + cell_height * row
            colour = f"rgb({255 - 213 * share:.0f},{255 - 144 * share:.0f},{255 - 79 * share:.0f})"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell_width - 2}" height="{cell_height - 2}" fill="{colour}"/>'
            )
            parts.append(
                _text(
                    x + cell_width / 2,
                    y + cell_height * 0.6,
                    f"{int(counts[row, column]):,}",
                    fill="white" if share > 0.6 else "#1d2733",
                )
            )
    return _svg(left + cell_width * len(columns) + 8, top + cell_height * len(rows) + 8, parts)


def timeline(
    seconds: np.ndarray, series: Sequence[tuple[str, np.ndarray, str]], *, y_label: str, bins: int = 120
) -> str:
    """How many rows of each series fall into each stretch of time; a series is name, mask and colour."""
    good = np.isfinite(seconds)
    low, high = (float(seconds[good].min()), float(seconds[good].max())) if good.any() else (0.0, 1.0)
    high = max(high, low + 1e-3)
    across, down, base = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, HEIGHT - BOTTOM
    counted = [np.histogram(seconds[mask & good], bins=bins, range=(low, high))[0] for _, mask, _ in series]
    most = max(1, *(int(counts.max()) for counts in counted))
    parts = []
    for place, ((name, _, colour), counts) in enumerate(zip(series, counted, strict=True)):
        points = " ".join(
            f"{LEFT + across * (index + 0.5) / bins:.1f},{base - down * count / most:.1f}"
            for index, count in enumerate(counts.tolist())
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(_text(WIDTH - RIGHT - 6, TOP + 12 + 15 * place, name, anchor="end", fill=colour))
    ticks = [
        (LEFT + across * part, f"{low + (high - low) * part:.3g}") for part in np.linspace(0, 1, 6).tolist()
    ]
    return _svg(WIDTH, HEIGHT, [*parts, *_axes("seconds", y_label, most, ticks)])


def curves(series: Sequence[tuple[str, np.ndarray, np.ndarray, str]], *, x_label: str, y_label: str) -> str:
    """Lines through points; a series is name, x, y and colour. The y axis begins at 0."""
    points = [(np.asarray(x, float), np.asarray(y, float)) for _, x, y, _ in series]
    every_x, every_y = (np.concatenate([pair[axis] for pair in points] or [np.zeros(0)]) for axis in (0, 1))
    low, high = (float(every_x.min()), float(every_x.max())) if len(every_x) else (0.0, 1.0)
    high = high if high > low else low + 1
    most = max(float(every_y.max(initial=0)), 1e-12)
    across, down, base = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, HEIGHT - BOTTOM
    parts = []
    for place, ((name, _, _, colour), (x, y)) in enumerate(zip(series, points, strict=True)):
        path = " ".join(
            f"{LEFT + across * (a - low) / (high - low):.1f},{base - down * b / most:.1f}"
            for a, b in zip(x.tolist(), y.tolist(), strict=True)
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(WIDTH - RIGHT - 6, TOP + 12 + 15 * place, name, anchor="end", fill=colour))
    ticks = [
        (LEFT + across * part, f"{low + (high - low) * part:.4g}") for part in np.linspace(0, 1, 6).tolist()
    ]
    return _svg(WIDTH, HEIGHT, [*parts, *_axes(x_label, y_label, most, ticks)])


def bars(rows: Sequence[tuple[str, float, str]], *, most: float, x_label: str) -> str:
    """A horizontal bar a row, from 0 to `most`; a row is name, value and what is written behind the bar."""
    left, step, top, width = 190, 18, 8, WIDTH - RIGHT - 90
    across, base = width - left, top + step * len(rows)
    parts = []
    for place, (name, value, note) in enumerate(rows):
        y, long = top + step * place, across * min(max(value / most, 0.0), 1.0)
        parts.append(
            f'<rect x="{left}" y="{y + 2}" width="{max(long, 0.5):.1f}" height="{step - 5}" fill="{BLUE}"/>'
        )
        parts.append(_text(left - 6, y + 13, name if len(name) < 28 else f"…{name[-26:]}", anchor="end"))
        parts.append(_text(left + long + 5, y + 13, note, anchor="start"))
    parts.append(f'<path d="M{left} {top}V{base}H{width}" fill="none" stroke="#8794a1"/>')
    parts += [
        _text(left + across * part, base + 14, f"{most * part:.4g}") for part in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    parts.append(_text(left + across / 2, base + 32, x_label))
    return _svg(WIDTH, base + 40, parts)
