"""Source, board and sinks together: every way to end leaves whole files and says what happened."""

import gc
import itertools
import json
import signal
import tracemalloc

import can
import numpy as np
import pytest

from host.ids.board import BoardFailure, alert_rule, open_board
from host.ids.fabric import FabricBoard
from host.ids.golden import GoldenBoard
from host.ids.pipeline import watch
from host.ids.records import Verdicts
from host.ids.sinks import JsonLinesSink, SinkError
from host.ids.sources import CanSource, GeneratedSource, PinsSource, SourceError
from models.can_ids.frames import Frames
from models.can_ids.generator import generate


class Keep:
    """A sink that keeps everything."""

    def __init__(self):
        self.parts, self.closed = [], 0

    def take(self, verdicts):
        self.parts.append(verdicts)

    def close(self):
        self.closed += 1
        return ["kept"]


class Given(GeneratedSource):
    """Frames that the test has."""

    def __init__(self, *parts: Frames):
        super().__init__()
        self.parts = parts

    def chunks(self):
        yield from self.parts


@pytest.fixture(scope="module")
def drive():
    return generate(seconds=1.0, seed=2, attacks=("dos",))


@pytest.fixture
def rule(ours):
    return alert_rule(ours, threshold=3)


@pytest.fixture(params=["model", "overlay"])
def board(request, ours, rule):
    if request.param == "model":
        yield open_board("model", ours, rule)
        return
    rig = request.getfixturevalue("rig")
    board = FabricBoard(ours, rule, bitstream=rig.bitfile, chunk_frames=512)
    yield board
    board.close()


def test_every_board_says_the_same(board, ours, rule, drive):
    keep = Keep()
    summary = watch(Given(drive[:300], drive[300:]), board, [keep], classes=ours.classes)
    expected = GoldenBoard(ours, rule).judge(drive)
    got = Verdicts.concatenate(keep.parts)
    for column in ("verdict", "score", "alert", "sequence"):
        assert np.array_equal(getattr(got, column), getattr(expected, column)), column
    assert np.array_equal(got.frames.attack, drive.attack)
    assert summary.frames == len(drive) == summary.counters["frames_accepted"]
    assert summary.alert_count == expected.alert.sum() > 0
    assert summary.notes == ["kept"]
    assert keep.closed == 1
    assert {"board", "model"} <= board.facts.keys()


def test_an_overlay_with_another_model_gets_the_right_one(rig, ours, rule, drive):
    rig.overlay.hash = 1
    board = FabricBoard(ours, rule, bitstream=rig.bitfile)
    assert ours.name in board.facts["model"]
    assert len(board.judge(drive[:10])) == 10
    board.close()


def test_a_model_of_another_shape_is_refused(rig, ours, rule, ours_shape, monkeypatch):
    rig.overlay.hash = 1
    monkeypatch.setattr(type(ours_shape), "digest", 0x0BAD_0BAD)  # what the gateware says
    monkeypatch.setattr("host.ids.weights.PARAMETER", "SOMETHING")
    with pytest.raises(
        BoardFailure, match=r"model 'ours' does not run on this overlay, .* build the overlay"
    ):
        FabricBoard(ours, rule, bitstream=rig.bitfile)


@pytest.mark.parametrize("how_often", [1, 2])
def test_the_pins_of_a_board(rig, ours, rule, drive, how_often):
    """Also of the second one in a process, which waits for the interrupt that the first has waited for."""

    class Hearing(Keep):
        """Speaks to the pins while the pipeline listens."""

        def take(self, verdicts):
            super().take(verdicts)
            if len(self.parts) == 1:
                rig.hear(drive[:50])
            elif len(verdicts):
                raise KeyboardInterrupt

    for _ in range(how_often):
        board = FabricBoard(ours, rule, bitstream=rig.bitfile)
        summary = watch(PinsSource(500_000), board, [Hearing()], classes=ours.classes)
        assert summary.interrupted
        assert summary.frames == 50
        assert rig.overlay.bank.outputs["mode_can_enable"] == 0
        board.close()


def test_a_second_board_at_once_is_refused_and_the_first_goes_on(rig, ours, rule, drive):
    first = FabricBoard(ours, rule, bitstream=rig.bitfile)
    with pytest.raises(BoardFailure, match=r"another board of this process has the overlay, .* close\(\) it"):
        FabricBoard(ours, rule, bitstream=rig.bitfile)
    assert len(first.judge(drive[:10])) == 10
    del first  # not closed, but nobody can use it any more
    gc.collect()
    again = FabricBoard(ours, rule, bitstream=rig.bitfile)
    again.close()
    again.close()
    FabricBoard(ours, rule, bitstream=rig.bitfile).close()


def test_a_live_interface_to_the_end_of_the_time(ours, rule):
    with can.Bus(interface="virtual", channel="test_pipeline") as bus:
        source = CanSource("virtual", "test_pipeline")
        for number in range(30):
            bus.send(can.Message(arbitration_id=number, is_extended_id=False, data=[number]))
        keep = Keep()
        summary = watch(source, GoldenBoard(ours, rule), [keep], classes=ours.classes, seconds=0.5)
        source.close()
    assert summary.frames == 30
    assert 0.4 < summary.seconds < 10
    assert Verdicts.concatenate(keep.parts).frames.identifier.tolist() == list(range(30))


def test_ctrl_c_leaves_whole_files(tmp_path, board, ours, drive):
    path = tmp_path / "all.jsonl"

    class Interrupting(Keep):
        def take(self, verdicts):
            super().take(verdicts)
            if len(self.parts) == 2:
                signal.raise_signal(signal.SIGINT)

    source = Given(*[drive[start : start + 100] for start in range(0, 1000, 100)])
    sinks = [JsonLinesSink(path, ours.classes, everything=True), Interrupting()]
    summary = watch(source, board, sinks, classes=ours.classes)
    assert summary.interrupted
    assert 0 < summary.frames < 1000
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == summary.frames
    assert any(line.startswith("interrupted; everything up to here") for line in summary.lines())
    assert len(board.judge(drive[:20])) == 20


@pytest.mark.parametrize("error", [RuntimeError("it burns"), TimeoutError("it sleeps")])
def test_a_board_that_fails_is_told_from_a_source_that_does(ours, rule, drive, monkeypatch, error):
    board, keep = GoldenBoard(ours, rule), Keep()

    def judge(frames):
        raise error

    monkeypatch.setattr(board, "judge", judge)
    with pytest.raises(BoardFailure, match=str(error)):
        watch(Given(drive), board, [keep], classes=ours.classes)
    assert keep.closed == 1


def test_a_source_that_fails(ours, rule, drive):
    class Failing(Given):
        def chunks(self):
            yield drive[:10]
            raise SourceError("no more")

    keep = Keep()
    with pytest.raises(SourceError, match="no more"):
        watch(Failing(), GoldenBoard(ours, rule), [keep], classes=ours.classes)
    assert keep.closed == 1


def test_a_sink_that_fails_closes_the_others(ours, rule, drive):
    class Full(Keep):
        def close(self):
            raise SinkError("full")

    first, last = Keep(), Keep()
    with pytest.raises(SinkError, match="full"):
        watch(Given(drive), GoldenBoard(ours, rule), [first, Full(), last], classes=ours.classes)
    assert first.closed == last.closed == 1


def test_memory_stays_flat_however_long_the_source(ours, rule, drive):
    class Forget(Keep):
        def take(self, verdicts):
            pass

    def run(chunks):
        source = Given(*itertools.repeat(drive[:500], chunks))
        watch(source, GoldenBoard(ours, rule), [Forget()], classes=ours.classes)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        run(5)
        assert run(100) - run(5) < 50 << 10  # one chunk is 13 KiB of frames alone
    finally:
        tracemalloc.stop()
