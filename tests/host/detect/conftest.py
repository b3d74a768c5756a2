"""Sources, engines and sinks that do what a test wants, right or wrong."""

import time

import numpy as np
import pytest

from host.detect.frames import Captured
from models.program import Output

SIDE = 64
CLASSES = tuple(f"class{index}" for index in range(20))
OUTPUTS = tuple(
    Output(tensor=f"map{stride}", shape=(25, SIDE // stride, SIDE // stride), scale=np.array(1 / 16))
    for stride in (8, 16, 32)
)


class NumberedSource:
    """Grey pictures whose brightness is their number; `faults` maps a number to an exception."""

    def __init__(self, count, *, live=False, pause_s=0.0, faults=None, broken=""):
        self.name, self.live, self.rate = "numbered", live, 0.0
        self.count, self.pause_s, self.faults = count, pause_s, faults or {}
        self.broken, self.left_out = broken, {}
        self.given = 0

    def frames(self):
        for index in range(self.count):
            if index in self.faults:
                raise self.faults[index]
            if self.pause_s:
                time.sleep(self.pause_s)
            self.given += 1
            yield Captured(f"picture {index}", np.full((48, 64, 3), index % 256, np.uint8))

    def close(self):
        pass


class BrightnessEngine:
    """Sees one object whose class is the brightness of the picture, modulo 20."""

    size, outputs = (SIDE, SIDE), OUTPUTS
    facts = {"board": "a fake"}

    def __init__(self, *, slots=1, pause_s=0.0, fault_at=None):
        self.slots, self.pause_s, self.fault_at = slots, pause_s, fault_at
        self.inside, self.taken, self.most_inside = [], 0, 0

    def put(self, pixels):
        assert pixels.shape == (12, SIDE // 2, SIDE // 2)
        assert pixels.dtype == np.uint8
        self.inside.append(int(pixels[0, 0, 0]))
        self.most_inside = max(self.most_inside, len(self.inside))
        assert len(self.inside) <= self.slots

    def take(self):
        if self.taken == self.fault_at:
            raise RuntimeError("the engine is on fire")
        time.sleep(self.pause_s)
        self.taken += 1
        maps = [np.full(output.shape, -128, np.int64) for output in OUTPUTS]
        maps[0][:4, 2, 3] = [8, 8, 32, 32]
        maps[0][4, 2, 3] = maps[0][5 + self.inside.pop(0) % 20, 2, 3] = 127
        return tuple(maps)

    def profile(self):
        return []

    def close(self):
        pass


class ListSink:
    """Keeps what it gets; waits, or fails at a frame, on request."""

    def __init__(self, *, wants_picture=False, pause_s=0.0, fault_at=None, gate=None):
        self.wants_picture, self.pause_s, self.fault_at, self.gate = wants_picture, pause_s, fault_at, gate
        self.events, self.closed = [], 0

    def take(self, event):
        if event.index == self.fault_at:
            raise OSError(28, "No space left on device")
        if self.gate is not None:
            self.gate.wait()
        time.sleep(self.pause_s)
        self.events.append(event)

    def close(self):
        self.closed += 1
        return [f"{len(self.events)} events"]

    @property
    def indices(self):
        return [event.index for event in self.events]


@pytest.fixture
def numbered():
    return NumberedSource


@pytest.fixture
def brightness():
    return BrightnessEngine


@pytest.fixture
def listed():
    return ListSink


@pytest.fixture
def classes():
    return CLASSES


@pytest.fixture
def outputs():
    return OUTPUTS


@pytest.fixture
def event(classes):
    """Makes an event of a frame with one box."""
    from host.detect.frames import FrameEvent
    from models.detector.boxes import Detections

    def make(index=0, *, shape=(48, 64), truth=None):
        box = np.array([[8.0, 10.0, 40.0, 30.0]])
        return FrameEvent(
            index=index, name=f"picture {index}", pixels=np.full((*shape, 3), 40 + index, np.uint8),
            detections=Detections(box, np.array([0.75]), np.array([3])), classes=classes,
            spans={"capture": (0.0, 0.001), "engine": (0.002, 0.005)}, dropped=2, truth=truth,
        )  # fmt: skip

    return make
