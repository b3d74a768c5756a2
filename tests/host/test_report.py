"""Reports: one file, nothing outside of it, and plots that show the numbers they were given."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from host.plots import histogram, matrix, timeline
from host.report import Report


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def bars(svg: str) -> list[float]:
    return [float(e.get("height")) for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("rect")]


def test_a_page_is_complete_and_self_contained(tmp_path):
    report = Report("Drive <1>")
    report.heading("Numbers & co")
    report.text("a < b")
    report.table(["name", "value"], [("x<y", 3)])
    report.figure(matrix(np.array([[3]]), ["a"], ["b"]), "what it is")
    page = report.write(tmp_path / "new" / "r.html").read_text()
    HTMLParser().feed(page)
    for text in (
        "Drive &lt;1&gt;",
        "Numbers &amp; co",
        "a &lt; b",
        "<td>x&lt;y</td><td>3</td>",
        "what it is",
    ):
        assert text in page
    assert not re.search(r"<(script|link|img|iframe)|src=|url\(", page)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["r.html"]


def test_a_histogram_has_a_bar_for_each_value_in_proportion():
    svg = histogram(np.array([1, 1, 1, 1, 2, 2, 5]), x_label="cycles", y_label="frames", marks=[(4, "limit")])
    heights = sorted(bars(svg))
    assert len(heights) == 3
    assert heights[2] / heights[1] == pytest.approx(2, rel=0.01)
    assert heights[2] / heights[0] == pytest.approx(4, rel=0.01)
    assert {"cycles", "frames", "limit", "4"} <= set(texts(svg))


@pytest.mark.parametrize("values", [[], [7], [7, 7, 7], [-3, 1e6]])
def test_a_histogram_of_anything(values):
    assert len(bars(histogram(np.array(values), x_label="x", y_label="y"))) == len(set(values))


def test_a_matrix_shows_every_count():
    svg = matrix(np.array([[1234, 0], [5, 6]]), ["benign", "dos"], ["one", "two"])
    assert {"1,234", "0", "5", "6", "benign", "dos", "one", "two"} <= set(texts(svg))
    assert len(bars(svg)) == 4


def test_a_timeline_counts_each_series():
    seconds = np.array([0.0, 0.1, 0.2, 9.9, np.nan])
    everything = np.ones(5, bool)
    svg = timeline(
        seconds, [("all", everything, "#123456"), ("none", ~everything, "#654321")], y_label="rows", bins=10
    )
    lines = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("polyline")]
    heights = [[float(point.split(",")[1]) for point in line.get("points").split()] for line in lines]
    base = max(heights[0])
    assert [round((base - y) / (base - min(heights[0])) * 3) for y in heights[0]] == [3, *[0] * 8, 1]
    assert set(heights[1]) == {base}
    assert {"all", "none", "3"} <= set(texts(svg))
    assert timeline(np.array([np.nan]), [("x", np.array([True]), "#000000")], y_label="y").startswith("<svg")
