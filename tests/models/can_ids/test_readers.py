"""Text captures: every variant against frames written by hand, and the fast way against the exact one."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.can_ids.frames import Attack, Frames
from models.can_ids.readers import Tally, read, read_chunks, templates, write_candump, write_csv
from models.can_ids.readers.candump import CAN_FD, Candump
from models.can_ids.readers.grammar import (
    BAD_DATA,
    BAD_DLC,
    BAD_IDENTIFIER,
    BAD_TIME,
    ERROR_FRAME,
    LENGTH_MISMATCH,
    NOT_A_FRAME,
)

EXTENDED, REMOTE = "extended", "remote"

#: A line of candump, and the frame in it: time, identifier, DLC, data, flags.
CANDUMP_FRAMES = {
    "(1398128223.803317) can0 166#D0320009": (1398128223.803317, 0x166, 4, "d0320009"),
    "(1398128223.803317) vcan12 166#": (1398128223.803317, 0x166, 0, ""),
    "(1597759320) can0 356#0000008016000000": (1597759320.0, 0x356, 8, "0000008016000000"),
    "(0.000000) can0 123#01": (0.0, 0x123, 1, "01"),
    "(-0.250000) can0 123#01": (-0.25, 0x123, 1, "01"),
    "(1700000000.123456789) can0 123#01": (1700000000.123456789, 0x123, 1, "01"),
    "(2024-02-29 01:02:03.500000) can0 123#01": (1709168523.5, 0x123, 1, "01"),
    "can0 123#AABB": (math.nan, 0x123, 2, "aabb"),
    "(1.5) can0 123#aa.bb.cc": (1.5, 0x123, 3, "aabbcc"),
    "(1.5) can0 18FEF100#FF00": (1.5, 0x18FEF100, 2, "ff00", EXTENDED),
    "(1.5) can0 00000123#FF": (1.5, 0x123, 1, "ff", EXTENDED),
    "(1.5) can0 0316#FF": (1.5, 0x316, 1, "ff"),
    "(1.5) can0 FFF#FF": (1.5, 0xFFF, 1, "ff", EXTENDED),
    "(1.5) can0 123#R": (1.5, 0x123, 0, "", REMOTE),
    "(1.5) can0 123#R8": (1.5, 0x123, 8, "", REMOTE),
    "(1.5) can0 18FEF100#R5 T": (1.5, 0x18FEF100, 5, "", EXTENDED, REMOTE),
    "(1.5) can0 123#1122 R": (1.5, 0x123, 2, "1122"),
    "(1.5) can0 123#1122 T": (1.5, 0x123, 2, "1122"),
    "(1.5) can0 123#1122334455667788_E": (1.5, 0x123, 8, "1122334455667788"),
    "  can0  123   [3]  08 00 0F": (math.nan, 0x123, 3, "08000f"),
    " (000.000003)  can0  18FCF200   [8]  E1 FF FF FF FF FF FF 01": (
        0.000003,
        0x18FCF200,
        8,
        "e1ffffffffffff01",
        EXTENDED,
    ),
    "  can0       123   [0]": (math.nan, 0x123, 0, ""),
    "  can0  123   [0]  remote request": (math.nan, 0x123, 0, "", REMOTE),
    "  can0  123   [4]  remote request": (math.nan, 0x123, 4, "", REMOTE),
    "  can0  123   [2]  41 42   'AB'": (math.nan, 0x123, 2, "4142"),
    "  can0  123   {E}  11 22 33 44 55 66 77 88": (math.nan, 0x123, 8, "1122334455667788"),
    " (1.5)  can0  RX - -  123   [1]  FF": (1.5, 0x123, 1, "ff"),
}
CANDUMP_DROPS = {
    "(1.5) can0 123##1AABB": CAN_FD,
    "(1.5) can0 18FEF100##0": CAN_FD,
    "  can0  123  [08]  11 22 33 44 55 66 77 88": CAN_FD,
    "  can0  123  [32]  11 22": CAN_FD,
    "(1.5) can0 20000080#0000000000000000": ERROR_FRAME,
    "  can0  20000004   [8]  00 01 00 00 00 00 00 00   ERRORFRAME": ERROR_FRAME,
    "(1.5) can0 9FFFFFFF#00": BAD_IDENTIFIER,
    "(1.5) can0 123#1": BAD_DATA,
    "(1.5) can0 123#XY": BAD_DATA,
    "(1.5) can0 123#112233445566778899": BAD_DATA,
    "  can0  123   [3]  08 00": LENGTH_MISMATCH,
    "(yesterday) can0 123#00": BAD_TIME,
    "(2024-02-30 01:02:03.5) can0 123#00": BAD_TIME,
    "2020-11-24T042648": NOT_A_FRAME,
    "\tcontroller-problem{rx-overflow}": NOT_A_FRAME,
    "\x00\x01\x02": NOT_A_FRAME,
}


def expect(frames, rows):
    """Compare with tuples of time, identifier, DLC, data in hex, and flags."""
    assert len(frames) == len(rows)
    for row, (time, identifier, dlc, data, *flags) in enumerate(rows):
        assert frames.timestamp[row] == time or (math.isnan(time) and np.isnan(frames.timestamp[row]))
        assert frames.identifier[row] == identifier
        assert frames.dlc[row] == dlc
        assert frames.data[row].tobytes() == bytes.fromhex(data).ljust(8, b"\0")
        assert frames.extended[row] == (EXTENDED in flags)
        assert frames.remote[row] == (REMOTE in flags)


def frames_in(text: bytes, grammar=None, tally=None):
    return Frames.concatenate(list(templates.frames_of(iter([text]), grammar or Candump(), tally or Tally())))


@pytest.mark.parametrize("copies", [1, 40], ids=["exact", "fast"])
@pytest.mark.parametrize("line", CANDUMP_FRAMES)
def test_candump_line(line, copies):
    tally = Tally()
    expect(frames_in(f"{line}\n".encode() * copies, tally=tally), [CANDUMP_FRAMES[line]] * copies)
    assert tally == Tally()


@pytest.mark.parametrize("line", CANDUMP_DROPS)
def test_candump_line_that_holds_no_usable_frame(line):
    tally = Tally()
    assert len(frames_in(f"\n{line}\n\n{line}\n".encode(), tally=tally)) == 0
    assert tally.dropped == {CANDUMP_DROPS[line]: 2}
    assert tally.first_dropped == {CANDUMP_DROPS[line]: 2}


def test_a_mixed_log_keeps_its_order_whatever_way_its_lines_are_read():
    lines = list(CANDUMP_FRAMES) + list(CANDUMP_DROPS)
    text = "\r\n".join(lines * 30).encode()
    expect(frames_in(text), list(CANDUMP_FRAMES.values()) * 30)


def test_a_label_at_the_end_of_a_log_line_marks_an_attack():
    frames = frames_in(b"(1.0) can0 123#00 0\n(1.1) can0 123#00 1\n")
    assert frames.attack.tolist() == [Attack.BENIGN, Attack.OTHER]


CHARACTERS = b"0123456789abcdefABCDEF#RT.() []'_-,xyz\x00\xff"


@st.composite
def spoiled_logs(draw):
    """Lines of every kind, many of them alike but for a digit, and some with a character changed."""
    kinds = draw(st.lists(st.sampled_from([*CANDUMP_FRAMES, *CANDUMP_DROPS]), min_size=1, max_size=4))
    lines = []
    for seed in draw(st.lists(st.integers(0, 2**32), min_size=1, max_size=80)):
        line = bytearray(kinds[seed % len(kinds)].encode())
        for _ in range(seed // 7 % 3):
            seed = seed * 1103515245 + 12345
            line[seed // 64 % len(line)] = CHARACTERS[seed // 4096 % len(CHARACTERS)]
        lines.append(bytes(line))
    return b"\n".join(lines)


@settings(max_examples=150, deadline=None)
@given(spoiled_logs())
def test_the_fast_way_agrees_with_the_exact_one(text):
    fast_tally, exact_tally = Tally(), Tally()
    fast = frames_in(text, tally=fast_tally)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "FEW_LINES", 10**9)
        exact = frames_in(text, tally=exact_tally)
    for name in vars(fast):
        assert np.array_equal(getattr(fast, name), getattr(exact, name), equal_nan=name == "timestamp"), name
    assert fast_tally == exact_tally


@pytest.mark.parametrize("digits", range(10))
def test_many_time_stamps_are_what_python_makes_of_each(digits):
    draw = np.random.default_rng(digits)
    whole = draw.integers(10**9, 2 * 10**9, 200).tolist()
    stamps = [f"{second}.{draw.integers(10**digits):0{digits}d}" for second in whole]
    frames = frames_in("".join(f"({stamp}) can0 123#00\n" for stamp in stamps).encode())
    assert frames.timestamp.tolist() == [float(stamp) for stamp in stamps]


def test_alike_lines_are_read_the_fast_way(monkeypatch):
    parsed = []
    parse = Candump.parse
    monkeypatch.setattr(Candump, "parse", lambda self, line: parsed.append(line) or parse(self, line))
    frames = frames_in(
        b"".join(b"(1.%06d) can0 %03X#%02X\n" % (row, row % 2048, row % 256) for row in range(5000))
    )
    assert frames.identifier[4999] == 4999 % 2048
    assert len(parsed) == 1


@st.composite
def captures(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.one_of(st.just(math.nan), st.integers(0, 2 * 10**15).map(lambda us: us / 1e6)),
                st.one_of(
                    st.tuples(st.just(False), st.integers(0, 0x7FF)),
                    st.tuples(st.just(True), st.integers(0, 0x1FFFFFFF)),
                ),
                st.booleans(),
                st.binary(max_size=8),
                st.sampled_from(Attack),
            ),
            max_size=60,
        )
    )
    frames = Frames.zeros(len(rows))
    for row, (time, (extended, identifier), remote, data, attack) in enumerate(rows):
        frames.timestamp[row] = time
        frames.extended[row], frames.identifier[row] = extended, identifier
        frames.remote[row], frames.dlc[row], frames.attack[row] = remote, len(data), attack
        if not remote:
            frames.data[row, : len(data)] = list(data)
    return frames


def assert_same(found, wanted, *, labels):
    for name in vars(wanted):
        if name != "attack" or labels:
            left, right = getattr(found, name), getattr(wanted, name)
            assert np.array_equal(left, right, equal_nan=name == "timestamp"), name


@settings(max_examples=60, deadline=None)
@given(captures())
def test_candump_round_trip(tmp_path_factory, frames):
    path = tmp_path_factory.mktemp("round") / "drive.log"
    write_candump(path, frames)
    capture = read(path)
    assert_same(capture.frames, frames, labels=False)
    assert capture.dropped == {}


@settings(max_examples=60, deadline=None)
@given(captures())
def test_table_round_trip_keeps_the_labels(tmp_path_factory, frames):
    frames = frames[~frames.remote]
    path = tmp_path_factory.mktemp("round") / "drive.csv.gz"
    write_csv(path, frames)
    assert_same(read(path).frames, frames, labels=True)


def test_writing_leaves_the_old_file_alone_when_it_fails(tmp_path):
    path = tmp_path / "drive.csv"
    path.write_text("old")
    remote = Frames.zeros(2)
    remote.remote[:] = True
    with pytest.raises(ValueError, match=r"remote frames, and there are 2; write a \.log"):
        write_csv(path, remote)
    broken = Frames.zeros(1)
    broken.attack[:] = 99
    with pytest.raises(IndexError):
        write_csv(path, broken)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_channel_that_would_break_the_lines_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not 'can 0'"):
        write_candump(tmp_path / "drive.log", Frames.zeros(1), channel="can 0")


HEADER = "timestamp,id,dlc,data,label,attack\n"


def read_text(tmp_path, name, text, **options):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path, **options)


def test_packed_table(tmp_path):
    text = HEADER + "1.5,2a0,8,40006c1d0104dd00,R,benign\n,316,2,00ff,T,spoof_rpm\n9e-06,18fef100,0,,T,DoS\n"
    capture = read_text(tmp_path, "drive.csv", text)
    expect(
        capture.frames,
        [
            (1.5, 0x2A0, 8, "40006c1d0104dd00"),
            (math.nan, 0x316, 2, "00ff"),
            (9e-06, 0x18FEF100, 0, "", EXTENDED),
        ],
    )
    assert capture.frames.attack.tolist() == [Attack.BENIGN, Attack.SPOOFING, Attack.DOS]
    assert capture.format == "csv"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1.5,2a0,9,40006c1d0104dd00,R,benign", BAD_DLC),
        ("1.5,2a0,7,40006c1d0104dd00,R,benign", LENGTH_MISMATCH),
        ("1.5,2a0,8,40006c1d0104ddzz,R,benign", BAD_DATA),
        ("1.5,fffffffff,0,,R,benign", NOT_A_FRAME),
        ("1.5,3fffffff,0,,R,benign", BAD_IDENTIFIER),
        ("noon,2a0,0,,R,benign", BAD_TIME),
        ("nan,2a0,0,,R,benign", BAD_TIME),
        ("1.5,2a0", NOT_A_FRAME),
    ],
)
def test_row_of_a_table_that_holds_no_usable_frame(tmp_path, row, reason):
    capture = read_text(tmp_path, "drive.csv", f"{HEADER}1.5,2a0,0,,R,benign\n{row}\n")
    assert len(capture.frames) == 1
    assert capture.dropped == {reason: 1}
    assert capture.tally.first_dropped == {reason: 3}


def test_other_headers_find_their_columns(tmp_path):
    challenge = "Timestamp,Arbitration_ID,DLC,Data,Class,SubClass\n1.5,356,4,00 00 00 80,Attack,Flooding\n"
    capture = read_text(tmp_path, "challenge.csv", challenge)
    expect(capture.frames, [(1.5, 0x356, 4, "00000080")])
    assert capture.frames.attack.tolist() == [Attack.DOS]


def test_identifiers_in_decimal_are_known_by_their_nine_digits(tmp_path):
    text = "timestamp,iface,can_id,dlc,data,label,note\n" + '0.5,can0,217058307,1,18,normal,"a, b"\n' * 2
    expect(read_text(tmp_path, "truck.csv", text).frames, [(0.5, 0x0CF00C03, 1, "18", EXTENDED)] * 2)


HCRL_ROWS = {
    "1478198376.389427,0316,8,05,21,68,09,21,21,00,6f,R": (1478198376.389427, 0x316, 8, "052168092121006f"),
    "1478198376.389427,05f0,2,01,00,T": (1478198376.389427, 0x5F0, 2, "0100"),
    "1478198376.389427,05f0,2,01,00,R,,,,,,": (1478198376.389427, 0x5F0, 2, "0100"),
    "1478198376.389427,05f0,2,01,00,,,,,,,T": (1478198376.389427, 0x5F0, 2, "0100"),
    "1478198376.389427,2,3,5,0,f,R": (1478198376.389427, 0x002, 3, "05000f"),
    "1478198376.389427,0316,1,ff": (1478198376.389427, 0x316, 1, "ff"),
    "1478198376,0000,0,T": (1478198376.0, 0x000, 0, ""),
}


@pytest.mark.parametrize("copies", [1, 40], ids=["exact", "fast"])
@pytest.mark.parametrize("row", HCRL_ROWS)
def test_hcrl_row(tmp_path, row, copies):
    capture = read_text(tmp_path, "RPM_dataset.csv", f"{row}\n" * copies)
    expect(capture.frames, [HCRL_ROWS[row]] * copies)
    assert capture.frames.attack.tolist() == [Attack.SPOOFING if "T" in row else Attack.BENIGN] * copies
    assert capture.format == "hcrl csv"


@pytest.mark.parametrize(
    ("name", "attack"),
    [
        ("DoS_dataset.csv", Attack.DOS),
        ("Fuzzy_dataset.csv", Attack.FUZZING),
        ("gear_dataset.csv", Attack.SPOOFING_GEAR),
        ("RPM_dataset.csv", Attack.SPOOFING),
        ("unnamed.csv", Attack.OTHER),
    ],
)
def test_the_name_of_an_hcrl_file_tells_what_is_injected(tmp_path, name, attack):
    row = "1478198376.389427,0316,1,05,T\n"
    assert read_text(tmp_path, name, row).frames.attack.tolist() == [attack]
    assert read_text(tmp_path, name, row, injected=Attack.REPLAY).frames.attack.tolist() == [Attack.REPLAY]


def test_hcrl_with_a_header_and_short_rows(tmp_path):
    text = "Timestamp,ID,DLC,DATA0,DATA1,DATA2,DATA3,DATA4,DATA5,DATA6,DATA7,Flag\n1.5,0316,2,05,21,R\n"
    capture = read_text(tmp_path, "DoS.csv", text)
    expect(capture.frames, [(1.5, 0x316, 2, "0521")])
    assert capture.dropped == {}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1.5,0316,8,05,21,R", LENGTH_MISMATCH),
        ("1.5,0316,2,05,21,33,R", LENGTH_MISMATCH),
        ("1.5,0316,2,05,,R", LENGTH_MISMATCH),
        ("1.5,0316,9,00,00,00,00,00,00,00,00,00,R", BAD_DLC),
        ("1.5,0316,2,05,zz,R", BAD_DATA),
    ],
)
def test_hcrl_row_that_holds_no_usable_frame(tmp_path, row, reason):
    assert read_text(tmp_path, "DoS.csv", row + "\n").dropped == {reason: 1}


def test_hcrl_text(tmp_path):
    text = (
        "Timestamp: 1479121434.850202        ID: 0350    000    DLC: 8    05 28 84 66 6d 00 00 a2\n"
        "Timestamp: 1479121434.850977        ID: 05f0    100    DLC: 8\n"
        "Timestamp: 1479121434.850978        ID: 05f0    000    DLC: 0\n"
    )
    capture = read_text(tmp_path, "normal_run_data.txt", text)
    expect(
        capture.frames,
        [
            (1479121434.850202, 0x350, 8, "052884666d0000a2"),
            (1479121434.850977, 0x5F0, 8, "", REMOTE),
            (1479121434.850978, 0x5F0, 0, ""),
        ],
    )
    assert capture.format == "hcrl text"


LOG = b"".join(b"(%d.%06d) can0 123#%04X\n" % (row // 1000, row, row) for row in range(60_000))


def test_chunks_together_are_the_whole(tmp_path):
    path = tmp_path / "drive.log"
    path.write_bytes(LOG)
    chunks = list(read_chunks(path))
    assert len(chunks) > 1
    assert_same(Frames.concatenate(chunks), read(path).frames, labels=True)


@pytest.mark.parametrize("cut", [3, 17, 5000, 100_000])
def test_a_truncated_gzip_yields_what_it_had(tmp_path, cut):
    whole = gzip.compress(LOG)
    capture = read_text(tmp_path, "drive.log.gz", whole[:-cut])
    wanted = read_text(tmp_path, "plain.log", LOG).frames
    assert f"ends in the middle, at byte {len(whole) - cut:,}" in capture.broken
    assert len(capture.frames) >= len(wanted) * (len(whole) - cut) / len(whole) - 2000
    last = len(capture.frames) - 1
    assert_same(capture.frames[:last], wanted[:last], labels=True)


def test_a_corrupt_gzip_yields_what_came_before(tmp_path):
    whole = bytearray(gzip.compress(LOG))
    middle = len(whole) // 2
    whole[middle : middle + 64] = b"\xff" * 64
    capture = read_text(tmp_path, "drive.log.gz", bytes(whole))
    assert "is corrupt at byte" in capture.broken
    assert len(capture.frames) > 20_000


def test_what_precedes_an_error_is_salvaged_to_the_byte(tmp_path):
    whole = bytearray(gzip.compress(LOG[:20_000]))
    assert len(whole) < 4096  # one piece for zlib
    whole[-8:-4] = b"\0\0\0\0"  # the check sum, after all the data
    capture = read_text(tmp_path, "drive.log.gz", bytes(whole))
    assert "incorrect data check" in capture.broken
    assert_same(capture.frames, frames_in(LOG[:20_000]), labels=True)


def test_gzip_members_one_after_the_other_are_one_file(tmp_path):
    capture = read_text(tmp_path, "drive.log.gz", gzip.compress(LOG) + gzip.compress(LOG))
    assert len(capture.frames) == 120_000
    assert capture.broken == ""


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_windows_are_seen_through(tmp_path, encoding):
    text = "(1.5) can0 123#AA\r\n(1.6) can0 123#BB\r\n".encode(encoding)
    expect(read_text(tmp_path, "drive.log", text).frames, [(1.5, 0x123, 1, "aa"), (1.6, 0x123, 1, "bb")])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no capture file '.*gone\.log'"):
        read(tmp_path / "gone.log")


def test_the_summary_tells_everything(tmp_path):
    capture = read_text(tmp_path, "drive.log", b"(1.5) can0 123#AA\njunk\n(1.5) can0 123##1AA\njunk\n")
    assert capture.summary().splitlines() == [
        "1 frames, format candump",
        f"2 dropped: {NOT_A_FRAME} (first: number 2)",
        f"1 dropped: {CAN_FD} (first: number 3)",
    ]
