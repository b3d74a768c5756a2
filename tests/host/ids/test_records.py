"""Records in memory, byte by byte, and what they cost."""

import struct

import numpy as np
import pytest

from host.ids.records import (
    FRAME,
    UNJUDGED,
    VERDICT,
    Verdicts,
    differing_rows,
    host_us_per_frame,
    pack,
    unpack,
)
from models.can_ids.frames import Frames


@pytest.fixture
def frames():
    frames = Frames.zeros(3)
    frames.identifier[:] = [0x123, 0x1ABCDEF0, 0x7FF]
    frames.extended[1] = frames.remote[2] = True
    frames.dlc[:] = [8, 3, 5]
    frames.data[0] = np.arange(1, 9)
    frames.data[1, :3] = 0xFF
    return frames


def test_frames_lie_in_memory_as_the_contract_says(frames):
    expected = b"".join(
        (
            struct.pack("<IBBH", 0x123, 0, 8, 0) + bytes(range(1, 9)),
            struct.pack("<IBBH", 0x1ABCDEF0, 1, 3, 0) + b"\xff\xff\xff" + bytes(5),
            struct.pack("<IBBH", 0x7FF, 2, 5, 0) + bytes(8),
        )
    )
    assert pack(frames).tobytes() == expected
    out = np.full(3 * FRAME.itemsize, 0xEE, np.uint8).view(FRAME)
    assert pack(frames, out) is out
    assert out.tobytes() == expected


def test_verdicts_are_read_as_the_contract_says():
    raw = struct.pack(
        "<IBBBB8sQiI", 0x1ABCDEF0, 1 | 4 | 8, 3, UNJUDGED, 1, b"\1\2\3" + bytes(5), 2**40, -7, 9
    )
    records = np.frombuffer(raw, VERDICT)
    got = unpack(records, clock_hz=2.0**20)
    assert got.frames.identifier.tolist() == [0x1ABCDEF0]
    assert (got.frames.extended[0], got.frames.remote[0], got.killed[0], got.alert[0]) == (
        True,
        False,
        True,
        True,
    )
    assert got.frames.data.tolist() == [[1, 2, 3, 0, 0, 0, 0, 0]]
    assert (got.verdict[0], got.score[0], got.sequence[0], got.cycle[0]) == (UNJUDGED, -7, 9, 2**40)
    assert got.frames.timestamp.tolist() == [2.0**20]
    assert np.isnan(unpack(records).frames.timestamp[0])


def test_what_was_unpacked_does_not_change_with_the_ring():
    records = np.zeros(2, VERDICT)
    got = unpack(records, clock_hz=1.0)
    records["score"] = records["verdict"] = records["data"] = 5
    assert not got.score.any()
    assert not got.verdict.any()
    assert not got.frames.data.any()


def test_another_frame_is_told_by_identifier_and_payload(frames):
    records = np.zeros(3, VERDICT)
    records["identifier"], records["data"] = frames.identifier, frames.data
    assert len(differing_rows(records, frames)) == 0
    records["identifier"][1] ^= 1
    records["data"][2, 7] = 1
    assert differing_rows(records, frames).tolist() == [1, 2]


def test_nothing_is_packed_and_unpacked_too():
    assert len(pack(Frames.zeros(0))) == 0
    assert len(unpack(np.zeros(0, VERDICT))) == len(Verdicts.concatenate([])) == 0


def test_the_cost_is_measured_a_frame():
    assert 0 < host_us_per_frame(count=64, repeats=1) < 1e6
