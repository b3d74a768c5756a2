"""`colonnade report`: one page, nothing outside of it, from a fresh clone as from a full build folder."""

import json
import re

import pytest
from typer.testing import CliRunner

from hw.tile import keeping
from scripts import figures, report
from scripts.main import app


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "REPORTS", tmp_path / "reports")
    return tmp_path


def test_a_fresh_clone_has_a_report_that_says_what_to_run(empty):
    result = CliRunner().invoke(app, ["report", "--no-compile"])
    assert result.exit_code == 0, result.output
    assert result.output == f"report: {empty / 'reports' / 'report.html'}\n"
    page = (empty / "reports" / "report.html").read_text()
    for command in ("colonnade evaluate can_ids --exact", "colonnade demo", "colonnade report --compile"):
        assert f"<code>{command}</code>" in page
    committed = json.loads(figures.COMMITTED.read_text())
    assert page.count("</tr>") >= len(committed)
    assert not re.search(r"https?://|<script|<link|url\(", page.replace("http://www.w3.org/2000/svg", ""))


def test_what_was_measured_since_takes_the_place_of_what_is_committed(empty):
    figures.REPORTS.mkdir()
    recorded = {"figures": {"copy.mismatches": 7.0}, "command": "colonnade copy", "commit": "new"}
    (figures.REPORTS / "copy.json").write_text(json.dumps(recorded))
    (figures.REPORTS / "other.json").write_text('{"something": "else"}')
    page = report.write_report(empty / "mine.html", compiling=False).read_text()
    assert re.search(r"copy\.mismatches</td>.*?<td>7</td><td><span class=\"bad\">missed", page)


def test_the_layers_of_the_detector_are_drawn_as_the_compiler_foresees_them_now(empty, monkeypatch):
    monkeypatch.setattr(report, "SIDE", 64)
    page = report.write_report(empty / "r.html").read_text()
    assert re.search("Lane use of detector_[a-z_]+ at 64x64 on the engine z7020", page)
    assert "data:image/jpeg;base64," in page
    assert "Roofline of" in page
    monkeypatch.setattr(keeping, "_can_take_turns", lambda *_: False)
    other = report.write_report(empty / "r.html").read_text()
    foreseen = [re.search(r"over ([\d,]+) cycles a frame", each)[1] for each in (page, other)]
    assert foreseen[0] != foreseen[1]


def test_an_engine_that_refuses_the_detector_does_not_cost_the_rest_of_the_report(empty, monkeypatch):
    def refuse(_name):
        raise ValueError("layer 'stem' does not fit")

    monkeypatch.setattr(report, "_compiled", refuse)
    monkeypatch.setattr(report, "SIDE", 64)
    page = report.write_report(empty / "r.html").read_text()
    assert "layer &#x27;stem&#x27; does not fit" in page
    assert "Every figure" in page


def test_the_plots_are_written_as_files_on_request(empty, monkeypatch):
    monkeypatch.setattr(report, "SIDE", 64)
    result = CliRunner().invoke(app, ["report", "--pictures", str(empty / "pictures")])
    assert result.exit_code == 0, result.output
    written = {path.name for path in (empty / "pictures").iterdir()}
    assert {"detection.jpg", "lane_use.svg", "roofline.svg"} <= written
    assert result.output.count("picture: ") == len(written)


def test_every_picture_that_is_committed_is_shown_somewhere():
    pages = [figures.ROOT / "README.md", *(figures.ROOT / "docs").rglob("*.md")]
    shown = {
        (page.parent / path).resolve()
        for page in pages
        for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text())
    }
    drawn = {path for kind in ("svg", "png", "jpg") for path in (figures.ROOT / "docs").rglob(f"*.{kind}")}
    assert {path.resolve() for path in drawn} == shown
