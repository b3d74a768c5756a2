"""Recordings at the speed of their bus, on a clock that the tests turn."""

import numpy as np
import pytest

from host.ids.sources import FramesSource, SourceError
from host.live import paced
from host.live.paced import PacedSource
from models.can_ids.frames import Frames


def recording(*times: float) -> FramesSource:
    frames = Frames.zeros(len(times))
    frames.timestamp[:] = times
    frames.identifier[:] = np.arange(len(times))
    return FramesSource("recording", frames)


class Clock:
    """Goes on by a step whenever the source waits."""

    def __init__(self, step: float):
        self.now, self._step = 1000.0, step

    def __call__(self) -> float:
        return self.now

    def wait(self, _: float) -> bool:
        self.now += self._step
        return False

    def is_set(self) -> bool:
        return False


def played(source: FramesSource, *, step: float = 0.1, repeat: bool = False, batches: int = 1000, skip=None):
    clock = Clock(step)
    paced_source = PacedSource(source, repeat=repeat, clock=clock)
    paced_source._stopped = clock
    taken = []
    for batch, _ in zip(paced_source.chunks(), range(batches), strict=False):
        taken.append((paced_source.bus_time(), batch))
        if skip and len(taken) == 1:
            clock.now += skip
    return paced_source, taken


def test_no_frame_comes_before_its_time_and_none_much_later():
    _, taken = played(recording(50.0, 50.05, 50.35, 51.2))
    assert np.concatenate([batch.identifier for _, batch in taken]).tolist() == [0, 1, 2, 3]
    for now, batch in taken:
        assert (batch.timestamp <= now + 1e-9).all()
        assert (now - batch.timestamp <= 0.1 + 1e-9).all()


def test_silence_gives_empty_batches():
    _, taken = played(recording(0.0, 1.0))
    assert sum(len(batch) == 0 for _, batch in taken) >= 8


def test_stamps_count_from_the_start():
    source, taken = played(recording(1e9, 1e9 + 0.5))
    assert np.concatenate([batch.timestamp for _, batch in taken]).tolist() == [0.0, 0.5]
    assert source.bus_time() == pytest.approx(0.5, abs=0.11)


def test_a_recording_begins_again_and_time_goes_on():
    source, taken = played(recording(3.0, 3.2), repeat=True, batches=40)
    stamps = np.concatenate([batch.timestamp for _, batch in taken])
    turn = 0.2 + paced.PAUSE_S
    expected = [start + within for start in (0, turn, 2 * turn) for within in (0, 0.2)]
    np.testing.assert_allclose(stamps[:6], expected)
    assert (np.diff(stamps) >= 0).all()
    assert source.turns >= 3


def test_who_is_late_loses_the_oldest_and_it_is_counted():
    source, taken = played(recording(0.0, 0.1, 0.2, 5.0, 5.1), skip=4.9)
    assert np.concatenate([batch.identifier for _, batch in taken]).tolist() == [0, 3, 4]
    assert source.dropped == {"the board was slower than the bus": 2}


def test_frames_without_stamps_come_with_those_before_them():
    _, taken = played(recording(np.nan, 2.0, np.nan, 1.0, 2.3))
    stamps = np.concatenate([batch.timestamp for _, batch in taken])
    np.testing.assert_allclose(stamps, [0.0, 0.0, 0.0, 0.0, 0.3])


def test_an_empty_recording_is_not_repeated_for_ever():
    with pytest.raises(SourceError, match="recording holds no CAN frame that could be played"):
        played(recording(), repeat=True)


def test_a_live_source_needs_no_pace():
    source = recording(0.0)
    source.live = True
    with pytest.raises(ValueError, match="recording has a speed of its own"):
        PacedSource(source)


def test_stop_ends_it():
    source = PacedSource(recording(0.0, 100.0))
    for _ in source.chunks():
        source.stop()
