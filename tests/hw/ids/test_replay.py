"""Frame records to events and frames, under the shared sweep and against the encodings of training."""

import numpy as np
import pytest

from hw.dataflow.window_layer import EventKind
from hw.ids.replay import Replay
from models.can_ids.features import Encoding
from models.program.pipeline_shape import WindowShape
from sim.stream_sweep import sweep

SHAPES = {
    "bits": WindowShape(slots=1, features=75, value_bits=1, units=8, lanes=2, emit_lanes=1, levels=3),
    "bytes": WindowShape(slots=1, features=10, value_bits=8, units=8, lanes=2, emit_lanes=1, levels=3),
}


def records(count, rng):
    frames = []
    for _ in range(count):
        dlc = rng.choice([0, 1, 5, 8, 8, 8, 11])
        extended, remote = rng.random() < 0.1, rng.random() < 0.1
        identifier = rng.getrandbits(29 if extended else 11)
        frames.append((identifier, extended, remote, dlc, [rng.getrandbits(8) for _ in range(8)]))
    return frames


def beats(frames):
    for identifier, extended, remote, dlc, data in frames:
        head = identifier | extended << 32 | remote << 33 | dlc << 40
        yield {"data": head, "keep": 0xFF, "last": 0}
        yield {"data": int.from_bytes(bytes(data), "little"), "keep": 0xFF, "last": 0}


def received(frame):
    identifier, extended, remote, dlc, data = frame
    dlc = min(dlc, 8)
    return {
        "identifier": identifier,
        "extended": int(extended),
        "remote": int(remote),
        "dlc": dlc,
        "data": [byte if place < dlc else 0 for place, byte in enumerate(data)],
        "timestamp": 0,
    }


def events(kind, frame):
    seen = received(frame)
    if seen["extended"] or seen["remote"]:
        return
    values = Encoding(kind=kind, window=1).of_frames(
        np.array([seen["identifier"]]), np.array([seen["data"]], np.uint8)
    )[0]
    for index, value in enumerate(values.astype(int) + (128 if kind == "bytes" else 0)):
        if value:
            yield (EventKind.VALUE.value, index, int(value))
    yield (EventKind.JUDGE.value, 0, 0)
    yield (EventKind.COMMIT.value, 0, 0)


def said(event):
    """Index and value mean something for a VALUE alone."""
    kind = int(event["kind"])
    return (kind, event["index"], event["value"]) if kind == EventKind.VALUE.value else (kind, 0, 0)


@pytest.mark.parametrize("kind", SHAPES)
def test_frames_and_features(kind):
    given = {}

    def items(length, rng):
        given["frames"] = records(length, rng)
        return {"beats": list(beats(given["frames"]))}

    def golden(_items):
        frames = given["frames"]
        return {
            "frame": [received(frame) for frame in frames],
            "events": [event for frame in frames for event in events(kind, frame)],
        }

    def observe(seen):
        return {"frame": seen["frame"], "events": [said(event) for event in seen["events"]]}

    unit = Replay(shape=SHAPES[kind], timestamp_bits=48)
    assert sweep(unit, items=items, golden=golden, observe=observe, lengths=(1, 6), quiet_cycles=80) == 50
