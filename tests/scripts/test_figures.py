"""Figures: recorded whole, merged without loss, shown against their goals."""

import json

import pytest
from typer.testing import CliRunner

from scripts import figures
from scripts.main import app


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, value in {
        "REPORTS": tmp_path / "reports",
        "COMMITTED": tmp_path / "figures.json",
        "GOALS": tmp_path / "goals.toml",
        "README": tmp_path / "README.md",
    }.items():
        monkeypatch.setattr(figures, name, value)
    figures.GOALS.write_text('["a.speed"]\ntitle = "Speed"\ngoal = ">= 2"\npeer = "1.5 (them)"\n')
    figures.README.write_text(f"before\n{figures.MARKER_BEGIN}\nold\n{figures.MARKER_END}\nafter\n")
    return tmp_path


def test_a_report_says_what_was_measured_how_and_with_what(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["colonnade", "a", "--seeds", "2"])
    report = json.loads(figures.record("a", {"a.speed": 3.0}).read_text())
    assert report["figures"] == {"a.speed": 3.0}
    assert report["command"] == "colonnade a --seeds 2"
    assert report["versions"]["amaranth"] == "0.5.10"
    assert [path.name for path in figures.REPORTS.iterdir()] == ["a.json"]


def test_a_new_report_replaces_its_own_figures_only():
    committed = {"a.speed": {"value": 1, "command": "old", "commit": "0"}, "b.size": {"value": 7}}
    report = {"figures": {"a.speed": 3}, "command": "new", "commit": "1"}
    merged = figures.merge(committed, [report])
    assert merged == {"a.speed": {"value": 3, "command": "new", "commit": "1"}, "b.size": {"value": 7}}


@pytest.mark.parametrize(
    ("value", "goal", "met"),
    [(2, ">= 2", True), (1.9, ">= 2", False), (0, "== 0", True), (3, "<= 2", False), (9, "", None)],
)
def test_goals(value, goal, met):
    assert figures.is_met(value, goal) is met


def test_the_verb_updates_file_and_readme_and_marks_what_is_missed(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["colonnade", "a"])
    figures.record("a", {"a.speed": 1.0, "a.other": 5.0})
    result = CliRunner().invoke(app, ["figures"])
    assert result.exit_code == 0
    assert json.loads(figures.COMMITTED.read_text())["a.other"]["value"] == 5.0
    readme = figures.README.read_text()
    assert readme.startswith("before\n")
    assert readme.endswith("after\n")
    assert "| Speed `a.speed` | 1 (missed) | >= 2 | 1.5 (them) | `colonnade a` |" in readme
    assert "old" not in readme
