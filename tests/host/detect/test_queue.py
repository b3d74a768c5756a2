"""The queue between two stages."""

import threading

import numpy as np
import pytest

from host.detect.frames import Frame
from host.detect.queue import Aborted, FrameQueue


def frame(index):
    return Frame(index, "", np.zeros((1, 1, 3), np.uint8))


def test_frames_come_out_as_they_went_in_and_none_after_the_end():
    queue = FrameQueue(3)
    for index in range(3):
        queue.put(frame(index))
    queue.close()
    assert [queue.get().index for _ in range(3)] == [0, 1, 2]
    assert queue.get() is None


def test_who_is_ahead_waits():
    queue, done = FrameQueue(1), threading.Event()
    queue.put(frame(0))

    def ahead():
        queue.put(frame(1))
        done.set()

    thread = threading.Thread(target=ahead)
    thread.start()
    assert not done.wait(0.05)
    assert queue.get().index == 0
    thread.join()
    assert (len(queue), queue.dropped) == (1, 0)


def test_the_oldest_goes_and_is_counted():
    queue = FrameQueue(2, drop_oldest=True)
    for index in range(5):
        queue.put(frame(index))
    assert queue.dropped == 3
    assert [queue.get().index for _ in range(2)] == [3, 4]


def test_nothing_is_there_without_waiting():
    assert FrameQueue(1).get(wait=False) is None


@pytest.mark.parametrize("side", ["put", "get"])
def test_abort_wakes_both_sides(side):
    queue, raised = FrameQueue(1), []
    if side == "put":
        queue.put(frame(0))

    def wait():
        try:
            queue.put(frame(1)) if side == "put" else queue.get()
        except Aborted:
            raised.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.05)
    queue.abort()
    thread.join()
    assert raised == [True]
    assert len(queue) == 0


def test_a_queue_holds_something():
    with pytest.raises(ValueError, match="at least one frame, not 0"):
        FrameQueue(0)
