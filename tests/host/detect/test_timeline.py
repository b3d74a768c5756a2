"""The picture of the stages over time."""

from xml.etree import ElementTree

from host.detect.frames import STAGES
from host.detect.pipeline import Pipeline
from host.detect.timeline import SHOWN, timeline_svg, write_timeline

SVG = "{http://www.w3.org/2000/svg}"


def test_it_has_a_row_a_stage_and_a_bar_a_frame(numbered, brightness, classes, tmp_path):
    summary = Pipeline(numbered(40), brightness(pause_s=0.002), classes=classes).run()
    path = write_timeline(summary, tmp_path / "deep" / "timeline.svg")
    root = ElementTree.fromstring(path.read_text())
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert set(STAGES) <= set(texts)
    assert texts[0].startswith("Detection pipeline: 40 frames, ")
    assert texts[0].endswith(f"{summary.slowest} is slowest")
    bars = [one for one in root.iter(f"{SVG}g") if one.find(f"{SVG}rect") is not None]
    assert len(bars) == SHOWN * len(STAGES)
    # Bars of the engine stand for the time that the engine took.
    engine = bars[STAGES.index("engine") * SHOWN]
    index, milliseconds = engine.find(f"{SVG}title").text.removeprefix("frame ").split(": ")
    began, ended = dict(summary.spans["engine"])[int(index)]
    assert milliseconds == f"{1000 * (ended - began):.2f} ms"
    assert [path.name for path in path.parent.iterdir()] == ["timeline.svg"]


def test_a_run_without_frames_has_a_picture_too(numbered, brightness, classes):
    summary = Pipeline(numbered(0), brightness(), classes=classes).run()
    assert "0 frames" in timeline_svg(summary)
