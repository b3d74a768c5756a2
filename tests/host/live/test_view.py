"""The looks: what is published, feeds that end, rails that are read, pictures that begin again."""

import base64
import json
import threading
import time
from types import SimpleNamespace

import pynq
import pytest

from host.detect.faces import SourceError
from host.detect.sources import generated_source
from host.ids.pipeline import watch
from host.live.feeds import Feed, StopSink
from host.live.hub import Hub
from host.live.rails import PowerMonitor
from host.live.repeated import RepeatedPictures
from host.live.view import LiveView
from models.can_ids.zoo import load_model

PATIENCE_S = 10.0


def told(hub: Hub, kind: str) -> dict:
    lines = hub.newest(kind).decode().splitlines()
    return json.loads("".join(line[6:] for line in lines if line.startswith("data: ")))


class Monitor:
    """Stands in for either system's."""

    def __init__(self, **snapshot):
        self._snapshot = snapshot
        self._pictures = [{"frame": 1, "jpeg": b"\xff\xd8"}]

    def snapshot(self):
        return self._snapshot

    def picture(self):
        return self._pictures.pop() if self._pictures else None

    def layers(self):
        return None


def test_a_look_publishes_all_that_is_there():
    hub = Hub()
    view = LiveView(hub)
    view.show_can(Monitor(frames=3), {"board": "b"})
    view.show_detector(Monitor(fps=2), {"pictures": "p"})
    view.note("something happened")
    view.look()
    state = told(hub, "state")
    assert (state["can"], state["detector"], state["power"]) == ({"frames": 3}, {"fps": 2}, None)
    assert state["facts"] == {"board": "b", "pictures": "p"}
    assert state["notes"] == ["something happened"]
    assert base64.b64decode(told(hub, "picture")["jpeg"]) == b"\xff\xd8"
    assert hub.newest("layers") == b""


def test_it_looks_by_itself_until_its_end():
    hub = Hub()
    with LiveView(hub, look_s=0.01):
        limit = time.monotonic() + PATIENCE_S
        while not hub.newest("state").startswith(b"event: state\nid: 3"):
            assert time.monotonic() < limit
            time.sleep(0.002)
    last = hub.newest("state")
    time.sleep(0.05)
    assert hub.newest("state") == last


def test_a_look_that_fails_is_not_kept_quiet():
    view = LiveView(Hub(), look_s=0.01)
    view.show_can(Monitor(frames=float("nan")), {})

    def run():
        with view:
            limit = time.monotonic() + PATIENCE_S
            while not view.failed:
                assert time.monotonic() < limit
                time.sleep(0.002)

    with pytest.raises(RuntimeError, match="stopped looking"):
        run()


def test_a_feed_says_how_it_ended():
    notes = []
    feed = Feed("bus", lambda ready: ready() or "the log has ended", ended=notes.append)
    feed.start()
    feed.join(PATIENCE_S)
    assert notes == ["bus: the log has ended"]
    assert not feed.running


def test_what_keeps_a_feed_from_starting_is_raised():
    def run(_):
        raise SourceError("no such camera")

    with pytest.raises(SourceError, match="no such camera"):
        Feed("camera", run, ended=lambda _: None).start()


def test_what_fails_later_becomes_a_note():
    notes = []

    def run(ready):
        ready()
        raise OSError("the adapter is gone")

    feed = Feed("bus", run, ended=notes.append)
    feed.start()
    feed.join(PATIENCE_S)
    assert notes == ["bus failed: the adapter is gone"]


def test_a_watch_can_be_stopped_from_elsewhere():
    class Quiet:
        """A bus on which nothing happens."""

        live, name, dropped, broken = True, "quiet", {}, ""

        def chunks(self):
            from models.can_ids.frames import Frames

            while True:
                yield Frames.zeros(0)

    stopping = threading.Event()
    stopping.set()
    board = SimpleNamespace(counters=dict)
    classes = load_model("ours").classes
    summary = watch(Quiet(), board, [StopSink(stopping)], classes=classes)
    assert summary.interrupted


def test_without_a_board_there_is_no_power_and_it_is_said(monkeypatch):
    monkeypatch.delenv("BOARD", raising=False)
    assert PowerMonitor().snapshot() == {
        "watts": None,
        "rail": "",
        "reason": "this is no board with power rails",
    }


def test_a_rail_is_read_at_each_look(monkeypatch):
    readings = iter([4.25, 5.0])

    class Sensor:
        @property
        def value(self):
            return next(readings)

    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setattr(pynq, "get_rails", lambda: {"12V": SimpleNamespace(power=Sensor())})
    power = PowerMonitor()
    assert [power.snapshot()["watts"], power.snapshot()["watts"]] == [4.25, 5.0]
    assert power.reason == ""


def test_a_sensor_that_fails_is_said_and_does_not_end_the_page(monkeypatch):
    class Sensor:
        @property
        def value(self):
            raise OSError("no answer")

    monkeypatch.setenv("BOARD", "ZCU104")
    monkeypatch.setattr(pynq, "get_rails", lambda: {"12V": SimpleNamespace(power=Sensor())})
    assert "no answer" in PowerMonitor().snapshot()["reason"]


def test_a_board_without_sensors(monkeypatch):
    monkeypatch.setenv("BOARD", "Pynq-Z2")
    monkeypatch.setattr(pynq, "get_rails", dict)
    assert "no rail with a power sensor on Pynq-Z2" in PowerMonitor().snapshot()["reason"]


def test_pictures_begin_again():
    source = RepeatedPictures(lambda: generated_source(count=2))
    names = [captured.name for captured, _ in zip(source.frames(), range(5), strict=False)]
    assert names == ["scene_0000", "scene_0001"] * 2 + ["scene_0000"]
    source.close()
    assert list(source.frames()) == []


def test_a_source_without_pictures_is_not_opened_for_ever():
    opened = []

    def reopen():
        opened.append(1)
        return generated_source(count=0)

    assert list(RepeatedPictures(reopen).frames()) == []
    assert len(opened) == 1


def test_a_feed_that_never_began_has_nothing_to_wait_for():
    feed = Feed("bus", lambda _: "", ended=lambda _: None)
    feed.join()
    assert not feed.running
