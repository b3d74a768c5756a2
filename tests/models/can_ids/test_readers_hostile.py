"""Files that are no captures, or try to be trouble: counted, not crashed upon, in bounded memory."""

import gzip
import random
import struct
import tracemalloc
import zlib

import can
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.can_ids.readers import read
from models.can_ids.readers.templates import LINE_BYTES, TOO_LONG

GOOD = b"(1.5) can0 123#AA\n"
SUFFIXES = [".log", ".csv", ".txt", ".asc", ".trc", ".blf", ".mf4", ".db", ".log.gz", ""]
#: First bytes that make a reader take the rest seriously.
LURES = [
    b"",
    GOOD,
    b"timestamp,id,dlc,data,label,attack\n",
    b"timestamp,arbitration_id,extended,remote,error,dlc,data\n",
    b"date Sat Nov 21 10:00:00.000 am 2026\nbase hex  timestamps absolute\n",
    b";$FILEVERSION=2.1\n;$STARTTIME=43008.9\n;$COLUMNS=N,O,T,B,I,d,R,L,D\n",
    b"LOGG" + bytes(140),
    b"MDF     4.10    ",
    b"SQLite format 3\0",
    b"\x1f\x8b\x08\0",
    b"\xff\xfe",
]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LURES), st.binary(max_size=300), st.sampled_from(SUFFIXES))
def test_any_bytes_under_any_name_are_read_to_some_end(tmp_path_factory, lure, rest, suffix):
    path = tmp_path_factory.mktemp("junk") / f"capture{suffix}"
    path.write_bytes(lure + rest)
    capture = read(path)
    assert len(capture.frames) <= 1 + len(rest) / 4


@pytest.mark.parametrize("suffix", [".log", ".csv", ".jpeg"])
def test_binary_junk_has_no_frames(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(random.Random(1).randbytes(300_000))
    capture = read(path)
    assert len(capture.frames) == 0
    assert sum(capture.dropped.values()) > 100


def test_an_empty_file_is_an_empty_capture(tmp_path):
    path = tmp_path / "empty.log"
    path.touch()
    capture = read(path)
    assert (len(capture.frames), capture.dropped, capture.broken) == (0, {}, "")


@pytest.mark.parametrize("length", [LINE_BYTES + 1, 3_000_000])
def test_an_enormous_line_costs_only_itself(tmp_path, length):
    path = tmp_path / "drive.log"
    path.write_bytes(GOOD + b"(1.5) can0 123#" + b"A" * length + b"\n" + GOOD)
    capture = read(path)
    assert len(capture.frames) == 2
    assert capture.dropped == {TOO_LONG: 1}
    assert capture.tally.first_dropped == {TOO_LONG: 2}


def test_lines_keep_their_numbers_after_an_enormous_one(tmp_path):
    path = tmp_path / "drive.log"
    path.write_bytes(GOOD + b"A" * 3_000_000 + b"\n" + GOOD + b"junk\n")
    assert read(path).tally.first_dropped["not a frame"] == 4


def test_nulls_between_lines_cost_only_their_lines(tmp_path):
    path = tmp_path / "drive.log"
    path.write_bytes(GOOD * 20 + b"\0" * 512 + GOOD * 20)
    assert len(read(path).frames) == 39


@pytest.mark.parametrize("text", [b"A", b"\n"], ids=["endless line", "blank lines"])
def test_a_decompression_bomb_takes_little_memory(tmp_path, text):
    """64 MiB of text from 64 KiB."""
    path = tmp_path / "bomb.log.gz"
    packer = zlib.compressobj(1, wbits=31)
    with path.open("wb") as file:
        for _ in range(16):
            file.write(packer.compress(text * (1 << 22)))
        file.write(packer.flush())
    tracemalloc.start()
    capture = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(capture.frames) == 0
    assert peak < 150e6


def test_a_blf_object_shorter_than_its_header_does_not_hang(tmp_path):
    path = tmp_path / "drive.blf"
    with can.Logger(path) as log:
        log(can.Message(timestamp=1.0, arbitration_id=0x123, is_extended_id=False, data=b"\xaa"))
    whole = bytearray(path.read_bytes())
    container = whole.index(b"LOBJ")
    (size,) = struct.unpack_from("<L", whole, container + 8)
    content = bytearray(zlib.decompress(whole[container + 32 : container + size]))
    struct.pack_into("<L", content, content.index(b"LOBJ") + 8, 0)
    packed = zlib.compress(bytes(content))
    header = bytearray(whole[container : container + 32])
    struct.pack_into("<L", header, 8, 32 + len(packed))
    path.write_bytes(whole[:container] + header + packed)
    capture = read(path)
    assert len(capture.frames) == 0
    assert "less than its header" in capture.broken


def test_garbage_after_a_gzip_is_told(tmp_path):
    path = tmp_path / "drive.log.gz"
    path.write_bytes(gzip.compress(GOOD * 3) + b"garbage")
    capture = read(path)
    assert len(capture.frames) == 3
    assert "is corrupt at byte" in capture.broken
