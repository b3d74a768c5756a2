"""The report over everything: figures beside goals, plots from what commands wrote, and what is missing."""

import json
import re

import numpy as np
import pytest

from host import overview
from host.report import Report
from scripts.figures import is_met

GOALS = {
    "can_ids.a": {"title": "A", "goal": ">= 2", "peer": "1.5 (them)"},
    "can_ids.b": {"title": "B", "goal": "<= 2"},
    "tile.c": {"title": "C", "goal": "== 0"},
    "new.d": {"title": "D"},
}
FIGURES = {
    "can_ids.a": {"value": 3.0, "command": "colonnade a", "commit": "1"},
    "can_ids.b": {"value": 2.5, "command": "colonnade b", "commit": "1"},
    "new.d": {"value": 1234567.0, "command": "colonnade d", "commit": "1"},
}


def rows(page):
    found = re.findall(r"<tr>(.*?)</tr>", page.split("<tbody>", 1)[1])
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found]
    return {row[1]: [re.sub("<.*?>", "", cell) for cell in row] for row in cells if len(row) > 1}


def test_each_goal_is_met_missed_or_not_measured_with_the_command_that_does():
    report = Report("r")
    overview.add_goals(report, FIGURES, GOALS, is_met=is_met)
    page = report.page()
    assert "1 goals are met, 1 are missed, and 1 figures are not measured yet" in page
    found = rows(page)
    assert found["can_ids.a"] == ["A", "can_ids.a", "&gt;= 2", "1.5 (them)", "colonnade a", "3", "met"]
    assert found["can_ids.b"][-2:] == ["2.5", "missed"]
    assert found["tile.c"][4:] == ["colonnade tile", "not measured", ""]
    assert found["new.d"][-2:] == ["1.23457e+06", ""]


def test_every_goal_of_the_project_is_shown_once():
    import tomllib

    from scripts.figures import COMMITTED, GOALS

    goals, figures = tomllib.loads(GOALS.read_text()), json.loads(COMMITTED.read_text())
    report = Report("r")
    overview.add_goals(report, figures, goals, is_met=is_met)
    page = report.page()
    for name in goals:
        assert page.count(f'<td class="words">{name}</td>') == 1
    assert "Everything else" not in page, "a prefix of docs/goals.toml has no group in host.overview.GROUPS"


def test_confusion_adds_the_captures_of_the_drive_and_leaves_out_empty_classes(tmp_path):
    def capture(model, group, counts):
        full = np.zeros((9, 9), int)
        full[:2, :2] = counts
        return {"model": model, "group": group, "confusion": {"frames": full.tolist()}}

    path = tmp_path / "evaluation.json"
    captures = [
        capture("ours", "drive", [[10, 1], [0, 5]]),
        capture("ours", "drive", [[20, 0], [2, 7]]),
        capture("ours", "slices", [[999, 0], [0, 999]]),
        capture("other", "drive", [[999, 0], [0, 999]]),
    ]
    path.write_text(json.dumps({"captures": captures}))
    report = Report("r")
    overview.add_confusion(report, path, model="ours", command="make it")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", report.page())
    assert sorted(texts) == sorted(["verdict", "benign", "dos", "benign", "dos", "30", "1", "2", "12"])


def test_latency_is_in_microseconds_of_the_boards_clock(tmp_path):
    path = tmp_path / "demo.json"
    path.write_text(json.dumps({"clock_hz": 1e8, "cycles": [100, 300], "counts": [3, 1]}))
    report = Report("r")
    overview.add_latency(report, path, command="make it")
    assert "4 frames at 100 MHz, half of them within 1.00 us, all within 3.00 us" in report.page()


def test_the_course_of_a_drive_has_a_line_for_what_was_sent_and_two_for_what_was_said(tmp_path):
    path = tmp_path / "demo.json"
    course = {"seconds": [0.5, 1.5], "attacks": [0, 8], "named": [0, 4], "alerts": [0, 2]}
    path.write_text(json.dumps(course))
    report = Report("r")
    overview.add_course(report, path, command="make it")
    lines = re.findall(r'<polyline points="([^"]+)"', report.page())
    heights = [[float(point.split(",")[1]) for point in line.split()] for line in lines]
    rises = [before - after for before, after in heights]
    assert rises == pytest.approx([rises[0], rises[0] / 2, rises[0] / 4], abs=0.2)


def test_lane_use_is_of_the_peak_and_the_longest_layer_comes_first():
    layers = [
        overview.LayerUse(name="short", products=800, cycles=100),
        overview.LayerUse(name="long", products=800, cycles=300),
    ]
    report = Report("r")
    overview.add_lane_use(report, layers, lanes=8, what="x")
    page = report.page()
    assert page.index(">long<") < page.index(">short<")
    assert "50.0% over 400 cycles a frame" in page
    assert "75.0% of the time" in page
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([0-9.]+)"', page)]
    assert widths[1] == pytest.approx(3 * widths[0], rel=0.01)


def test_precision_leaves_out_classes_that_no_picture_has(tmp_path):
    path = tmp_path / "detector.json"
    model = {"voc07": 61.5, "per_class": [20.0, float("nan"), 80.0]}
    content = {"classes": ["cat", "cow", "dog"], "count": 7, "side": 64, "pictures": "p"}
    path.write_text(json.dumps(content | {"models": {"integer": model}}))
    report = Report("r")
    overview.add_precision(report, path, command="make it")
    page = report.page()
    assert page.index(">dog<") < page.index(">cat<")
    assert ">cow<" not in page
    assert "mAP 61.50 on 7 pictures" in page


@pytest.mark.parametrize(
    "add",
    [
        lambda report, path: overview.add_confusion(report, path, model="ours", command="colonnade x"),
        lambda report, path: overview.add_latency(report, path, command="colonnade x"),
        lambda report, path: overview.add_course(report, path, command="colonnade x"),
        lambda report, path: overview.add_precision(report, path, command="colonnade x"),
        lambda report, path: overview.add_picture(
            report, overview.Picture(paths=[path], caption="c", command="colonnade x")
        ),
    ],
)
def test_what_is_missing_names_the_command_that_makes_it(tmp_path, add):
    report = Report("r")
    add(report, tmp_path / "absent.png")
    assert "not made yet; <code>colonnade x</code>" in report.page()


def test_every_figure_is_listed_with_its_commit():
    report = Report("r")
    overview.add_every_figure(report, FIGURES)
    assert rows(report.page())["colonnade a"] == ["can_ids.a", "colonnade a", "1", "3"]
