"""What is said of the detector, with frames made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from host.detect.frames import FrameEvent
from host.live.detector import DetectorMonitor, layer_rows
from models.detector.boxes import Detections


def event(index: int = 0, *, engine_ms: float = 4.0, boxes: int = 1) -> FrameEvent:
    found = Detections(
        np.array([[2.0, 2, 30, 20]] * boxes).reshape(-1, 4),
        np.linspace(0.9, 0.5, boxes),
        np.arange(boxes) % 2,
    )
    spans = {"capture": (index, index + 0.001), "engine": (index + 0.002, index + 0.002 + engine_ms / 1000)}
    return FrameEvent(
        index=index,
        name=f"frame {index}",
        pixels=np.full((24, 32, 3), 90, np.uint8),
        detections=found,
        classes=("cat", "dog"),
        spans=spans,
        dropped=index,
    )


def test_before_the_first_frame():
    monitor = DetectorMonitor()
    told = monitor.snapshot()
    assert (told["frames"], told["fps"], told["stages"], told["latency_ms"]) == (0, 0, [], None)
    assert monitor.picture() is None
    assert monitor.layers() is None


def test_stages_have_mean_and_worst():
    monitor = DetectorMonitor()
    for index, spent in enumerate((2.0, 4.0, 9.0)):
        monitor.take(event(index, engine_ms=spent))
    told = monitor.snapshot()
    assert told["stages"][1] == {"name": "engine", "mean_ms": 5.0, "most_ms": 9.0}
    assert [stage["name"] for stage in told["stages"]] == ["capture", "engine"]
    assert told["latency_ms"] == pytest.approx(10.0)
    assert (told["frames"], told["dropped"], told["name"]) == (3, 2, "frame 2")


def test_a_frame_that_waits_inside_an_engine_is_not_charged_for_it():
    monitor = DetectorMonitor()
    for index in range(3):
        found = event(index)
        spans = {"capture": (0.0, 0.0), "engine": (0.01 * index, 0.01 * index + 0.02)}
        monitor.take(replace(found, spans=spans))
    assert monitor.snapshot()["stages"][1] == {"name": "engine", "mean_ms": 13.333, "most_ms": 20.0}


def test_the_rate_is_that_of_the_last_seconds():
    now = [0.0]
    monitor = DetectorMonitor(clock=lambda: now[0])
    for index in range(20):
        now[0] = index * 0.25
        monitor.take(event(index))
    assert monitor.snapshot()["fps"] == pytest.approx(4.0)
    now[0] += 60
    assert monitor.snapshot()["fps"] == 0


def test_an_engine_that_takes_long_for_a_picture_has_a_rate_and_says_how_far_it_is():
    now, done = [0.0], [0]
    monitor = DetectorMonitor(clock=lambda: now[0], progress=lambda: f"{done[0]} cycles")
    for index, done[0] in enumerate((100, 200)):
        now[0] = index * 20.0
        monitor.take(event(index))
        assert monitor.snapshot()["progress"] == f"{done[0]} cycles"
    now[0] += 15
    assert monitor.snapshot()["fps"] == pytest.approx(1 / 20, rel=0.02)
    now[0] += 25
    assert monitor.snapshot()["fps"] == pytest.approx(1 / 40, rel=0.02)


def test_a_picture_is_shown_once():
    monitor = DetectorMonitor()
    monitor.take(event(7, boxes=2))
    picture = monitor.picture()
    assert picture["jpeg"].startswith(b"\xff\xd8")
    assert (picture["frame"], picture["width"], picture["height"]) == (7, 32, 24)
    assert picture["detections"] == [{"class": "cat", "score": 0.9}, {"class": "dog", "score": 0.5}]
    assert monitor.picture() is None
    monitor.take(event(8))
    assert monitor.picture()["frame"] == 8


def test_many_boxes_are_not_all_listed():
    monitor = DetectorMonitor()
    monitor.take(event(boxes=50))
    assert len(monitor.snapshot()["detections"]) == 8


def test_layers_of_a_compiled_binary():
    header = [
        {"name": "conv", "cycles": 100, "macs": 640, "read_bytes": 10, "write_bytes": 20, "beats": 3},
        {"name": "never", "cycles": 0, "macs": 0, "read_bytes": 0, "write_bytes": 0},
    ]
    assert layer_rows(header, lanes=8) == [
        {"name": "conv", "cycles": 100, "macs": 640, "lane_use": 0.8, "read_bytes": 10, "write_bytes": 20}
    ]


def test_layers_of_an_engines_profile():
    profile = [
        {"name": "conv", "cycles": 200, "macs": 800, "predicted": 190, "read_beats": 4, "write_beats": 2}
    ]
    (row,) = layer_rows(profile, lanes=8, beat_bytes=16)
    assert (row["lane_use"], row["read_bytes"], row["write_bytes"]) == (0.5, 64, 32)


def test_layers_are_told_when_they_are_new():
    monitor = DetectorMonitor()
    monitor.show_layers([{"name": "conv"}], "counted")
    assert monitor.layers() == {"rows": [{"name": "conv"}], "origin": "counted"}
    assert monitor.layers() is None
