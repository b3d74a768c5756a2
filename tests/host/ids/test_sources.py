"""Where frames come from, with every drop counted."""

import time

import can
import numpy as np
import pytest

from host.ids.sources import (
    CanSource,
    FileSource,
    GeneratedSource,
    PinsSource,
    SourceError,
    open_source,
)
from models.can_ids.frames import Frames
from models.can_ids.generator import generate
from models.can_ids.readers import write_candump


@pytest.fixture
def bus():
    with can.Bus(interface="virtual", channel="test_sources") as bus:
        yield bus


@pytest.fixture
def source(bus):
    source = CanSource("virtual", "test_sources", queue_frames=50)
    yield source
    source.close()


def received(source, count: int, timeout_s: float = 10.0) -> Frames:
    parts, limit = [], time.monotonic() + timeout_s
    for frames in source.chunks():
        parts.append(frames)
        if sum(map(len, parts)) >= count or time.monotonic() > limit:
            return Frames.concatenate(parts)
    return Frames.concatenate(parts)


def test_a_live_interface_gives_batches(bus, source):
    for number in range(20):
        bus.send(can.Message(arbitration_id=number, is_extended_id=False, data=[number, 7]))
    bus.send(can.Message(arbitration_id=0x1ABCDEF0, is_extended_id=True, is_remote_frame=True, dlc=4))
    frames = received(source, 21)
    assert frames.identifier.tolist() == [*range(20), 0x1ABCDEF0]
    assert frames.data[:20, 0].tolist() == list(range(20))
    assert (frames.extended[20], frames.remote[20], frames.dlc[20]) == (True, True, 4)
    assert np.isfinite(frames.timestamp).all()
    assert source.dropped == {}


def test_what_is_no_classical_frame_is_left_out_and_counted(bus, source):
    bus.send(can.Message(arbitration_id=1, is_extended_id=False, is_fd=True, data=bytes(12)))
    bus.send(can.Message(is_error_frame=True))
    bus.send(can.Message(arbitration_id=2, is_extended_id=False, data=[1]))
    assert received(source, 1).identifier.tolist() == [2]
    assert {reason.split(" (")[0] for reason in source.dropped} == {"CAN FD frame", "error frame"}


def test_a_slow_board_loses_the_oldest_and_knows_how_many(bus, source):
    limit = time.monotonic() + 10
    for number in range(200):
        bus.send(can.Message(arbitration_id=number, is_extended_id=False))
        while number == 30 and len(source._queue) <= 30 and time.monotonic() < limit:
            time.sleep(0.01)  # so that there are several batches
    while sum(source.dropped.values()) < 150 and time.monotonic() < limit:
        time.sleep(0.01)
    assert received(source, 50).identifier.tolist() == list(range(150, 200))
    assert source.dropped == {"the board was slower than the bus": 150}


def test_a_quiet_bus_gives_empty_chunks(source):
    assert len(next(source.chunks())) == 0


def test_an_adapter_that_is_pulled_ends_the_source(bus, source, monkeypatch):
    bus.send(can.Message(arbitration_id=5, is_extended_id=False))
    chunks = source.chunks()
    frames = [next(chunks)]

    def pulled(_timeout):
        raise can.CanOperationError("device gone")

    monkeypatch.setattr(source._bus, "recv", pulled)
    frames += chunks
    assert Frames.concatenate(frames).identifier.tolist() == [5]
    assert "can:virtual:test_sources stopped: CanOperationError('device gone'" in source.broken


def test_an_interface_that_is_not_there():
    with pytest.raises(SourceError, match=r"can:nonsense:x cannot be opened: .*ip link set can0 up"):
        CanSource("nonsense", "x")


def test_a_file_is_read_with_its_tally(tmp_path):
    drive = generate(seconds=1.0)
    path = tmp_path / "drive.log"
    write_candump(path, drive)
    with path.open("a") as file:
        file.write("this is no frame\n")
    source = open_source(str(path))
    frames = Frames.concatenate(list(source.chunks()))
    assert isinstance(source, FileSource)
    assert np.array_equal(frames.identifier, drive.identifier)
    assert sum(source.dropped.values()) == 1


def test_a_generated_drive_is_the_generator_s():
    source = open_source("generate:vehicle=2,seconds=1,seed=5,attacks=dos+fuzzing")
    assert source == GeneratedSource(vehicle=2, seconds=1.0, seed=5, attacks=("dos", "fuzzing"))
    got = Frames.concatenate(list(source.chunks()))
    expected = generate(vehicle_number=2, seconds=1.0, seed=5, attacks=("dos", "fuzzing"))
    assert np.array_equal(got.data, expected.data)
    assert open_source("generate:attacks=none").attacks == ()


def test_pins_have_a_bit_rate():
    assert open_source("pins") == PinsSource(500_000.0)
    assert open_source("pins:250000").bit_rate == 250_000
    with pytest.raises(SourceError, match="never pass through the host"):
        open_source("pins").chunks()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("missing.log", "there is no capture file 'missing.log'"),
        ("can:virtual", "a CAN source is can:<interface>:<channel>"),
        ("generate:colour=red", "a generated drive has vehicle, seconds, seed and attacks, not 'colour'"),
        ("generate:seconds=long", "'long' in 'seconds=long' is no number"),
        ("serial:x", "'serial:x' is no source; a source is a capture file"),
    ],
)
def test_sources_that_make_no_sense(text, message):
    with pytest.raises(SourceError, match=message):
        open_source(text)


@pytest.mark.parametrize("rest", ["seconds=-1", "attacks=nonsense", "vehicle=99"])
def test_a_drive_that_cannot_be_made_says_why(rest):
    with pytest.raises(SourceError, match="generated drive"):
        list(open_source(f"generate:{rest}").chunks())
