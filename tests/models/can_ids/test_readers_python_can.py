"""Formats that python-can reads, written by python-can itself."""

import gzip

import can
import numpy as np
import pytest

from models.can_ids.readers import read
from models.can_ids.readers.candump import CAN_FD
from models.can_ids.readers.grammar import ERROR_FRAME
from models.can_ids.readers.python_can import PASSED_OVER

FORMATS = ["asc", "blf", "trc", "mf4", "db", "csv", "log"]
#: Text counts from the line where it broke, the others from the frame.
BREAKS = {
    "blf": "ends at byte",
    "mf4": "stopped at frame",
    "db": "stopped at frame",
    "csv": "stopped at line",
}


def data_frames():
    for row in range(100):
        extended = row % 7 == 3
        yield can.Message(
            timestamp=1000.0 + row / 128,
            arbitration_id=0x18FEF100 + row if extended else 0x100 + row,
            is_extended_id=extended,
            data=bytes(range(row, row + row % 9)),
        )


def written(path, messages):
    with can.Logger(path) as log:
        for message in messages:
            log(message)
    return path


def expect(frames, messages):
    assert frames.identifier.tolist() == [message.arbitration_id for message in messages]
    assert frames.extended.tolist() == [message.is_extended_id for message in messages]
    assert frames.remote.tolist() == [message.is_remote_frame for message in messages]
    assert frames.dlc.tolist() == [message.dlc for message in messages]
    for row, message in enumerate(messages):
        assert frames.data[row].tobytes() == bytes(message.data).ljust(8, b"\0")
    spent = frames.timestamp - frames.timestamp[0]
    wanted = [message.timestamp - messages[0].timestamp for message in messages]
    assert np.abs(spent - wanted).max() < 1e-3


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_data_frames(tmp_path, suffix, zipped):
    messages = list(data_frames())
    path = written(tmp_path / f"drive.{suffix}", messages)
    if zipped:
        path = tmp_path / f"drive.{suffix}.gz"
        path.write_bytes(gzip.compress((tmp_path / f"drive.{suffix}").read_bytes()))
    capture = read(path)
    expect(capture.frames, messages)
    assert (capture.dropped, capture.broken) == ({}, "")
    assert suffix in capture.format or suffix == "log"


@pytest.mark.parametrize("suffix", FORMATS)
def test_content_tells_the_format_whatever_the_name(tmp_path, suffix):
    messages = list(data_frames())
    path = written(tmp_path / f"drive.{suffix}", messages).rename(tmp_path / "drive")
    expect(read(path).frames, messages)


@pytest.mark.parametrize(
    "suffix", [name for name in FORMATS if name != "trc"]
)  # python-can cannot write these
def test_remote_fd_and_error_frames(tmp_path, suffix):
    messages = [
        can.Message(timestamp=1000.0, arbitration_id=0x123, is_extended_id=False, data=b"\xaa"),
        can.Message(
            timestamp=1000.1, arbitration_id=0x123, is_extended_id=False, is_fd=True, data=bytes(12), dlc=12
        ),
        can.Message(timestamp=1000.2, is_error_frame=True),
        can.Message(timestamp=1000.3, arbitration_id=0x124, is_extended_id=False, is_remote_frame=True),
    ]
    capture = read(written(tmp_path / f"drive.{suffix}", messages))
    expect(capture.frames, [messages[0], messages[3]])
    assert capture.dropped == {CAN_FD: 1, ERROR_FRAME: 1}


@pytest.mark.parametrize("suffix", FORMATS)
def test_half_a_file_yields_what_it_had(tmp_path, suffix):
    messages = list(data_frames())
    path = written(tmp_path / f"drive.{suffix}", messages)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    capture = read(path)
    found = capture.frames
    if suffix not in ("mf4", "db"):  # these keep what a reader needs at their end
        assert len(found) >= 30
    whole_frames = max(0, len(found) - 1)  # the last one may have lost bytes
    if whole_frames:
        expect(found[:whole_frames], messages[:whole_frames])
    assert BREAKS.get(suffix, "") in capture.broken


def test_lines_that_python_can_passes_over_are_counted(tmp_path):
    path = written(tmp_path / "drive.asc", list(data_frames()))
    lines = path.read_text().splitlines()
    lines[20:20] = ["// a comment", "   0.1 1  Statistic: D 0 R 0", "nonsense"]
    path.write_text("\n".join(lines))
    capture = read(path)
    assert len(capture.frames) == 100
    assert capture.dropped == {PASSED_OVER: 2}
    assert capture.tally.first_dropped == {PASSED_OVER: 22}


def test_umlauts_of_german_months_are_read(tmp_path):
    path = tmp_path / "drive.asc"
    text = "date Sam Mär 21 10:00:00.000 2026\nbase hex  timestamps absolute\n   0.5 1  123  Rx   d 1 AA\n"
    path.write_bytes(text.encode("cp1252"))
    assert len(read(path).frames) == 1
