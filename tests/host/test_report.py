"""Reports: one file, nothing outside of it, and plots that show the numbers they were given."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from host.plots import bars, curves, histogram, matrix, timeline
from host.report import STYLE, Mark, Report


def texts(svg: str) -> list[str]:
    return [element.text for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def bar_heights(svg: str) -> list[float]:
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
        '<th scope="row">x&lt;y</th><td>3</td>',
        "what it is",
    ):
        assert text in page
    assert not re.search(r"<(script|link|img|iframe)|src=|url\(", page)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["r.html"]


class Outline(HTMLParser):
    """Elements in order, and whether they close as they open."""

    VOID = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.open, self.elements = [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID and tag not in ("path", "rect", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def outline(report):
    parsed = Outline()
    parsed.feed(report.page())
    assert parsed.open == []
    return parsed


def test_contents_lead_to_every_section_also_where_two_have_one_name():
    report = Report("r", contents=True)
    for name in ("One", "Two & more", "One"):
        report.heading(name)
    page = outline(report)
    anchors = [attrs["id"] for attrs in page.all("h2")]
    assert len(set(anchors)) == 3
    assert [attrs["href"] for attrs in page.all("a")] == [f"#{anchor}" for anchor in anchors]


def test_what_a_reader_of_the_page_aloud_needs(tmp_path):
    """Language, one main heading, names of pictures, tables and regions; marks in words."""
    picture = tmp_path / "p.png"
    picture.write_bytes(b"\x89PNG not really")
    report = Report("r")
    report.heading("h")
    report.table(["figure", "value"], [("x", Mark("missed", "bad"))], caption='the "table"')
    report.figure(matrix(np.array([[3]]), ["a"], ["b"]), "a plot")
    report.picture(picture, "a picture")
    report.missing("The rest", "make <rest>")
    with report.folded("more"):
        report.text("inside")
    page = outline(report)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert page.all("svg")[0] | {"role": "img", "aria-label": "a plot"} == page.all("svg")[0]
    assert page.all("img")[0]["alt"] == "a picture"
    assert [attrs["scope"] for attrs in page.all("th")] == ["col", "col", "row"]
    region = next(attrs for attrs in page.all("div") if attrs.get("role") == "region")
    assert (region["aria-label"], region["tabindex"]) == ('the "table"', "0")
    text = report.page()
    assert '<span class="bad">missed</span>' in text
    assert "<code>make &lt;rest&gt;</code>" in text
    assert "<details><summary>more</summary><p>inside</p></details>" in text


def test_pictures_are_inside_of_the_page_and_it_follows_the_readers_colours_and_prints(tmp_path):
    picture = tmp_path / "p.svg"
    picture.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    report = Report("r")
    report.picture(picture, "c")
    page = report.page()
    assert re.findall(r'src="(data:[a-z/+]+);base64,', page) == ["data:image/svg+xml"]
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_words_stands_out_from_its_ground_by_day_and_by_night():
    """WCAG AA: 4.5 to 1."""
    day, night = (dict(re.findall(r"--(\w+): (#[0-9a-f]+)", part)) for part in STYLE.split("@media")[:2])
    for colours in (day, night):
        full = {
            name: c if len(c) == 7 else "#" + "".join(2 * d for d in c[1:]) for name, c in colours.items()
        }
        for ground in ("paper", "head"):
            for ink in ("ink",) if ground == "head" else ("ink", "quiet", "good", "bad", "link"):
                light, dark = sorted((luminance(full[ink]), luminance(full[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)


def test_curves_pass_through_their_points_from_zero_on():
    svg = curves(
        [("found", [0, 1, 2], [0.0, 0.5, 1.0], "#123456"), ("one", [2], [1.0], "#654321")],
        x_label="threshold", y_label="share",
    )  # fmt: skip
    first, second = (e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("polyline"))
    points = [tuple(map(float, point.split(","))) for point in first.get("points").split()]
    assert points[1] == pytest.approx([(a + b) / 2 for a, b in zip(points[0], points[2], strict=True)])
    assert second.get("points").split() == first.get("points").split()[2:]
    assert {"found", "one", "threshold", "share", "1", "2"} <= set(texts(svg))
    assert curves([], x_label="x", y_label="y").startswith("<svg")


def test_bars_are_as_long_as_their_values_and_never_leave_the_plot():
    svg = bars([("a", 1.0, "100 %"), ("b", 0.25, "25 %"), ("c", 7.0, "more")], most=1.0, x_label="use")
    widths = [float(e.get("width")) for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("rect")]
    assert widths[1] == pytest.approx(widths[0] / 4, abs=0.1)
    assert widths[2] == widths[0]
    assert {"a", "b", "c", "100 %", "25 %", "use", "0.5"} <= set(texts(svg))


def test_a_histogram_has_a_bar_for_each_value_in_proportion():
    svg = histogram(np.array([1, 1, 1, 1, 2, 2, 5]), x_label="cycles", y_label="frames", marks=[(4, "limit")])
    heights = sorted(bar_heights(svg))
    assert len(heights) == 3
    assert heights[2] / heights[1] == pytest.approx(2, rel=0.01)
    assert heights[2] / heights[0] == pytest.approx(4, rel=0.01)
    assert {"cycles", "frames", "limit", "4"} <= set(texts(svg))


@pytest.mark.parametrize("values", [[], [7], [7, 7, 7], [-3, 1e6]])
def test_a_histogram_of_anything(values):
    assert len(bar_heights(histogram(np.array(values), x_label="x", y_label="y"))) == len(set(values))


def test_a_matrix_shows_every_count():
    svg = matrix(np.array([[1234, 0], [5, 6]]), ["benign", "dos"], ["one", "two"])
    assert {"1,234", "0", "5", "6", "benign", "dos", "one", "two"} <= set(texts(svg))
    assert len(bar_heights(svg)) == 4


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


def test_named_plots_are_files_that_need_no_page(tmp_path):
    picture = tmp_path / "p.png"
    picture.write_bytes(b"png")
    report = Report("r")
    report.figure(matrix(np.array([[3]]), ["a"], ["b"]), "c", name="one")
    report.figure(matrix(np.array([[4]]), ["a"], ["b"]), "c")
    report.picture(picture, "c", name="two")
    written = report.write_pictures(tmp_path / "out")
    assert [path.name for path in written] == ["one.svg", "two.png"]
    assert sorted((tmp_path / "out").iterdir()) == sorted(written)
    root = ElementTree.fromstring(written[0].read_text())
    assert {"a", "b", "3"} <= {e.text for e in root.iter() if e.tag.endswith("text")}
    assert next(e for e in root.iter() if e.tag.endswith("rect")).get("fill") == "#fff"
    before = written[0].stat().st_mtime_ns
    report.write_pictures(tmp_path / "out")
    assert written[0].stat().st_mtime_ns == before
