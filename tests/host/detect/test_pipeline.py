"""Order, policies, ends and failures of the pipeline, with sources, engines and sinks that misbehave."""

import gc
import threading
import traceback
from pathlib import Path

import numpy as np
import pytest

from host.detect.frames import STAGES, Frame
from host.detect.pipeline import Pipeline, Settings, StageStalled


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive(), thread


def classes_seen(events):
    return [event.detections.classes.tolist() for event in events]


@pytest.mark.parametrize("slots", [1, 2])
def test_every_frame_comes_out_in_order_with_its_own_boxes(numbered, brightness, listed, classes, slots):
    engine, sink, observed = brightness(slots=slots, pause_s=0.001), listed(), []
    source = numbered(100)
    summary = Pipeline(source, engine, [sink], classes=classes, observers=[observed.append]).run()
    assert sink.indices == list(range(100)) == [event.index for event in observed]
    assert classes_seen(sink.events) == [[index % 20] for index in range(100)]
    assert [event.name for event in sink.events[:2]] == ["picture 0", "picture 1"]
    assert (summary.frames, summary.captured, summary.dropped, summary.broken) == (100, 100, 0, "")
    assert engine.most_inside == slots
    assert sink.closed == 1
    assert summary.notes == ["100 events"]


def test_boxes_are_in_the_picture_s_own_pixels(numbered, brightness, listed, classes):
    sink = listed()
    Pipeline(numbered(1), brightness(), [sink], classes=classes).run()
    # Cell 3, 2 of stride 8 and half a cell more, and exp(1) cells wide and high; the scale is 1.
    half = np.exp(1.0) * 4
    centre = [(3 + 0.25) * 8, (2 + 0.25) * 8]
    expected = [centre[0] - half, centre[1] - half, centre[0] + half, centre[1] + half]
    assert np.allclose(sink.events[0].detections.boxes, [expected])


def test_spans_follow_each_other_and_the_slowest_stage_is_named(numbered, brightness, listed, classes):
    sink = listed()
    summary = Pipeline(numbered(12), brightness(pause_s=0.03), [sink], classes=classes).run()
    assert summary.slowest == "engine"
    assert set(summary.stages) == set(STAGES)
    assert all(figures.count == 12 for figures in summary.stages.values())
    for event in sink.events:
        moments = [moment for stage in STAGES[:-1] for moment in event.spans[stage]]
        assert moments == sorted(moments)
        assert event.latency_ms >= event.stage_ms["engine"] >= 30
    assert summary.seconds >= 0.36


def test_a_slow_sink_holds_the_source_back_and_nothing_is_lost(numbered, brightness, listed, classes):
    gate, source = threading.Event(), numbered(60)
    sink = listed(gate=gate)
    settings = Settings(policy="block", depth=1)
    pipeline = Pipeline(source, brightness(), [sink], classes=classes, settings=settings)
    thread = threading.Thread(target=pipeline.run)
    thread.start()
    while pipeline.statistics().waiting.get("letterbox") != 1:  # everything is full up to the source
        thread.join(0.01)
    assert source.given <= 2 * len(STAGES)
    gate.set()
    thread.join()
    assert sink.indices == list(range(60))


def test_drop_oldest_counts_every_frame_that_is_gone(numbered, brightness, listed, classes):
    source, sink = numbered(200), listed(pause_s=0.002)
    settings = Settings(policy="drop-oldest")
    summary = Pipeline(source, brightness(), [sink], classes=classes, settings=settings).run()
    assert sink.indices == sorted(set(sink.indices))
    assert summary.dropped > 0
    assert summary.frames + summary.dropped == 200 == source.given
    assert sink.indices[-1] == 199  # the newest is what is kept
    assert classes_seen(sink.events) == [[index % 256 % 20] for index in sink.indices]
    assert sink.events[-1].dropped == summary.dropped


@pytest.mark.parametrize(("live", "policy"), [(True, "drop-oldest"), (False, "block")])
def test_without_a_policy_the_source_s_liveness_decides(numbered, brightness, classes, live, policy):
    summary = Pipeline(numbered(1, live=live), brightness(), classes=classes).run()
    assert summary.policy == policy


def fail_in(stage, numbered, brightness, listed, classes):
    """A pipeline in which a stage raises at frame 5, and what it raises."""
    source, engine, sink = numbered(50), brightness(), listed()
    if stage == "capture":
        source = numbered(50, faults={5: RuntimeError("the camera is gone")})
    if stage == "engine":
        engine = brightness(fault_at=5)
    if stage == "record":
        sink = listed(fault_at=5)
    return Pipeline(source, engine, [sink], classes=classes), sink


@pytest.mark.parametrize(
    ("stage", "error", "message", "function"),
    [
        ("capture", RuntimeError, "the camera is gone", "frames"),
        ("engine", RuntimeError, "the engine is on fire", "take"),
        ("record", OSError, "No space left", "take"),
    ],
)
def test_an_exception_comes_out_as_it_was_raised_and_stops_the_rest(
    numbered, brightness, listed, classes, stage, error, message, function
):
    pipeline, sink = fail_in(stage, numbered, brightness, listed, classes)
    with pytest.raises(error, match=message) as caught:
        pipeline.run()
    assert function in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert f"in stage {stage!r}" in caught.value.__notes__[0]
    assert sink.closed == 1
    assert sink.indices == list(range(len(sink.indices)))
    assert len(sink.indices) <= 5


@pytest.mark.parametrize("stage", ["letterbox", "quantise", "decode", "suppress", "draw"])
def test_an_exception_in_a_stage_between_names_it(numbered, brightness, listed, classes, stage, monkeypatch):
    def broken(self, frame):
        raise ZeroDivisionError(stage)

    monkeypatch.setattr(Pipeline, f"_{stage}", broken)
    with pytest.raises(ZeroDivisionError, match=stage) as caught:
        Pipeline(numbered(50), brightness(), [listed()], classes=classes).run()
    assert f"in stage {stage!r} of the detection pipeline, frame 0 (picture 0)" in caught.value.__notes__


def test_an_observer_that_fails_stops_the_pipeline(numbered, brightness, classes):
    def observer(event):
        raise KeyError("page")

    with pytest.raises(KeyError):
        Pipeline(numbered(50), brightness(), classes=classes, observers=[observer]).run()


def test_after_a_failure_nobody_is_in_the_engine_any_more(numbered, brightness, listed, classes):
    engine = brightness(pause_s=1.5)
    with pytest.raises(OSError, match="No space left"):
        Pipeline(numbered(3), engine, [listed(fault_at=0)], classes=classes).run()
    assert "detect-engine" not in [thread.name for thread in threading.enumerate()]
    assert engine.taken == 2  # the second was under way when the first could not be written


def test_a_source_that_dies_ends_clearly_with_all_that_came_before(numbered, brightness, listed, classes):
    source, sink = numbered(7, broken="the cable was pulled"), listed()
    summary = Pipeline(source, brightness(), [sink], classes=classes).run()
    assert sink.indices == list(range(7))
    assert summary.broken == "the cable was pulled"
    assert "the source ended early: the cable was pulled" in list(summary.lines())


def test_a_sink_that_hangs_ends_with_its_name(numbered, brightness, listed, classes):
    gate = threading.Event()
    stuck, other = listed(gate=gate), listed()
    settings = Settings(patience_s=0.5)
    pipeline = Pipeline(numbered(50), brightness(), [other, stuck], classes=classes, settings=settings)
    with pytest.raises(StageStalled, match=r"stage 'record' \(ListSink\) has been at one frame"):
        pipeline.run()
    assert (other.closed, stuck.closed) == (1, 0)  # closing what hangs would hang as well
    gate.set()


def test_a_hanging_source_is_named_but_a_slow_engine_is_left_in_peace(numbered, brightness, classes):
    settings = Settings(patience_s=0.5)
    assert (
        Pipeline(numbered(1), brightness(pause_s=0.8), classes=classes, settings=settings).run().frames == 1
    )
    with pytest.raises(StageStalled, match="stage 'capture'"):
        Pipeline(numbered(3, pause_s=1.0), brightness(), classes=classes, settings=settings).run()


def test_a_sink_that_cannot_close_does_not_keep_the_others_from_it(numbered, brightness, listed, classes):
    class Unclosable(listed):
        def close(self):
            raise OSError("the disk is full")

    first, last = Unclosable(), listed()
    with pytest.raises(OSError, match="the disk is full"):
        Pipeline(numbered(3), brightness(), [first, last], classes=classes).run()
    assert last.closed == 1


def test_stop_finishes_what_is_on_its_way(numbered, brightness, listed, classes):
    source, sink = numbered(10_000), listed()

    def stop_at_ten(event):
        if event.index == 10:
            pipeline.stop()

    pipeline = Pipeline(source, brightness(), [sink], classes=classes, observers=[stop_at_ten])
    summary = pipeline.run()
    assert 10 < summary.frames == summary.captured == source.given < 100
    assert sink.indices == list(range(summary.frames))


def test_frames_limits_the_run(numbered, brightness, listed, classes):
    source, sink = numbered(100), listed()
    assert Pipeline(source, brightness(), [sink], classes=classes).run(frames=3).frames == 3
    assert source.given == 3


def test_ctrl_c_is_a_clean_stop(numbered, brightness, listed, classes, monkeypatch):
    sink, pressed = listed(), []
    watch = Pipeline._watch

    def interrupted(self):
        if not pressed and self.progress.frames > 5:
            pressed.append(True)
            raise KeyboardInterrupt
        watch(self)

    monkeypatch.setattr(Pipeline, "_watch", interrupted)
    source = numbered(5000, pause_s=0.002)
    summary = Pipeline(source, brightness(), [sink], classes=classes).run()
    assert summary.interrupted
    assert sink.indices == list(range(summary.frames))
    assert summary.frames == source.given < 5000


def test_pictures_are_drawn_only_for_who_wants_them(numbered, brightness, listed, classes):
    plain, drawn = listed(), listed(wants_picture=True)
    Pipeline(numbered(2), brightness(), [plain], classes=classes).run()
    assert plain.events[0].picture is None
    Pipeline(numbered(2), brightness(), [drawn], classes=classes).run()
    picture = drawn.events[1].picture
    assert picture is not None
    assert (picture != drawn.events[1].pixels).any()
    assert (drawn.events[1].pixels == 1).all()
    assert np.array_equal(plain.events[1].drawn(), picture)
    assert drawn.events[1].jpeg()[:2] == b"\xff\xd8"


def test_no_frame_is_left_behind(numbered, brightness, classes):
    Pipeline(numbered(300), brightness(slots=2), classes=classes).run()
    gc.collect()
    # Not isinstance: some libraries' objects answer a question for their class with a warning.
    assert [one for one in gc.get_objects() if type(one) is Frame] == []


def test_a_pipeline_runs_once(numbered, brightness, classes):
    pipeline = Pipeline(numbered(1), brightness(), classes=classes)
    pipeline.run()
    with pytest.raises(RuntimeError, match="runs once"):
        pipeline.run()


def test_settings_refuse_what_is_none():
    with pytest.raises(ValueError, match=r"policy must be one of \('block', 'drop-oldest'\), not 'drop'"):
        Settings(policy="drop")
    with pytest.raises(ValueError, match="least_score must be within 0 and 1, not 2"):
        Settings(least_score=2)


def test_the_host_s_half_imports_no_gateware():
    folder = Path(__file__).parents[3] / "host" / "detect"
    for path in folder.glob("*.py"):
        assert not any(
            line.lstrip().startswith((f"from {package}", f"import {package}"))
            for line in path.read_text().splitlines()
            for package in ("hw", "sim", "torch", "scripts")
        ), path
