"""What is said of the bus, against counts made by hand."""

import json

import numpy as np
import pytest

from host.ids.board import alert_rule, open_board
from host.ids.records import UNJUDGED, Verdicts
from host.live import can as watched
from host.live.can import AlertLog, CanMonitor
from models.can_ids.frames import Attack, Frames
from models.can_ids.generator import generate
from models.can_ids.generator_bus import wire_bits
from models.can_ids.zoo import load_model

CLASSES = (Attack.BENIGN, Attack.DOS, Attack.FUZZING)


def verdicts(times, classes, *, alert=None, scores=None, identifiers=None) -> Verdicts:
    count = len(times)
    frames = Frames.zeros(count)
    frames.timestamp[:] = times
    frames.dlc[:] = 2
    frames.data[:, 0] = np.arange(count)
    frames.identifier[:] = 0x100 if identifiers is None else identifiers
    return Verdicts(
        frames=frames,
        verdict=np.array(classes, np.uint8),
        alert=np.array(classes) == 1 if alert is None else np.array(alert, bool),
        score=np.array(scores if scores is not None else [10] * count, np.int32),
        cycle=np.zeros(count, np.uint64),
        sequence=np.arange(count, dtype=np.uint32),
        killed=np.zeros(count, bool),
    )


class BusTime:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bus_time():
    return BusTime()


def test_frames_and_alerts_by_class(bus_time):
    monitor = CanMonitor(CLASSES, bus_time=bus_time)
    monitor.take(verdicts([0.1, 0.2, 0.3, 0.4, 0.5], [0, 1, 1, 2, UNJUDGED], alert=[0, 1, 0, 0, 0]))
    told = monitor.snapshot()
    assert (told["frames"], told["alerts"]) == (5, 1)
    assert told["classes"] == [
        {"name": "benign", "frames": 1, "alerts": 0},
        {"name": "dos", "frames": 2, "alerts": 1},
        {"name": "fuzzing", "frames": 1, "alerts": 0},
        {"name": "unjudged", "frames": 1, "alerts": 0},
    ]


def test_the_bus_load_is_the_share_of_its_bits(bus_time):
    frames = generate(seconds=2.0, seed=5)
    rule = alert_rule(load_model("ours"))
    monitor = CanMonitor(CLASSES, bit_rate=500_000, bus_time=bus_time)
    for judged in open_board("model", load_model("ours"), rule).replay([frames]):
        monitor.take(judged)
    bus_time.now = 2.5
    told = monitor.snapshot()
    second = frames[np.flatnonzero((frames.timestamp >= 1) & (frames.timestamp < 2))]
    assert told["bus_load"] == pytest.approx(wire_bits(second).sum() / 500_000, abs=1e-3)
    assert told["frames_per_s"] == len(second)
    assert told["history"]["frames"][1] == len(second)


def test_verdicts_are_timed_on_the_bus_clock(bus_time):
    monitor = CanMonitor(CLASSES, bus_time=bus_time)
    bus_time.now = 1.0
    monitor.take(verdicts([0.99, 0.9], [0, 0]))
    told = monitor.snapshot()["latency"]
    assert told["most_ms"] == pytest.approx(100)
    assert sum(told["counts"]) == 2


def test_without_a_clock_there_is_no_latency_but_the_overlays():
    monitor = CanMonitor(CLASSES, ask=lambda: {"latency_cycles_max": 250}, clock_hz=100e6)
    monitor.take(verdicts([5.0], [0]))
    told = monitor.snapshot()
    assert told["latency"] is None
    assert told["overlay_latency_us"] == pytest.approx(2.5)


def test_the_board_is_asked_in_the_pipelines_thread_and_seldom(bus_time):
    asked = []
    monitor = CanMonitor(CLASSES, bus_time=bus_time, ask=lambda: asked.append(1) or {})
    for _ in range(100):
        monitor.take(verdicts([], []))
    monitor.snapshot()
    assert len(asked) == 1


def test_a_page_that_does_not_look_costs_bounded_memory(bus_time, monkeypatch):
    monkeypatch.setattr(watched, "PENDING_FRAMES", 100)
    monitor = CanMonitor(CLASSES, bus_time=bus_time, dropped=lambda: {"late": 3})
    for _ in range(10):
        monitor.take(verdicts(np.zeros(40), [0] * 40))
    assert len(monitor._pending) == 2
    told = monitor.snapshot()
    assert told["frames"] == 80
    assert sum(told["dropped"].values()) == 3 + 320


def test_what_is_told_is_json(bus_time):
    monitor = CanMonitor(CLASSES, bus_time=bus_time)
    assert json.loads(json.dumps(monitor.snapshot(), allow_nan=False))["last_alerts"] == []
    monitor.take(verdicts([np.nan, 1.0], [1, 1]))
    json.dumps(monitor.snapshot(), allow_nan=False)


def test_alerts_close_together_are_one_row_with_the_clearest_frame():
    log = AlertLog(["benign", "dos"])
    log.add(verdicts([0.0, 0.5, 0.9], [1] * 3, scores=[3, 9, 4], identifiers=[1, 2, 1]))
    log.add(verdicts([1.5], [1], scores=[5], identifiers=[3]))
    (row,) = log.rows()
    assert row == {
        "number": 1, "class": "dos", "first": 0.0, "last": 1.5, "count": 4, "identifiers": 3,
        "identifier": "002", "data": "01 00", "score": 9,
    }  # fmt: skip


def test_a_pause_begins_a_new_row_also_within_a_batch():
    log = AlertLog(["benign", "dos", "fuzzing"])
    log.add(verdicts([0.0, 2.0, 2.1], [1, 1, 1]))
    log.add(verdicts([2.2], [2]))
    log.add(verdicts([3.5], [1]))
    assert [(row["class"], row["first"], row["count"]) for row in log.rows()] == [
        ("dos", 3.5, 1),
        ("fuzzing", 2.2, 1),
        ("dos", 2.0, 2),
        ("dos", 0.0, 1),
    ]


def test_a_negative_score_is_a_score():
    log = AlertLog(["benign", "dos"])
    log.add(verdicts([0.0], [1], scores=[-7]))
    assert log.rows()[0]["score"] == -7


def test_only_the_last_rows_are_kept():
    log = AlertLog(["benign", "dos"], rows=3)
    log.add(verdicts(np.arange(0, 20, 2.0), [1] * 10))
    assert [row["number"] for row in log.rows()] == [10, 9, 8]
