"""The bus model against the standard's own examples, other encoders' known values, and itself."""

import numpy as np
import pytest

from sim.can_bus import (
    BusFrame,
    Waveform,
    crc_bits,
    error_frame,
    frame_bits,
    idle,
    overload_frame,
    random_frame,
    receive,
    stuff,
    with_glitches,
)
from sim.can_fd import FD_SIZES, send_fd_frame


def bits(text: str) -> list[int]:
    return [int(bit) for bit in text.replace(" ", "")]


def test_crc_gives_the_check_value_of_the_catalogue():
    message = [byte >> place & 1 for byte in b"123456789" for place in range(7, -1, -1)]
    assert crc_bits(message) == bits("000 0101 1001 1110")  # CRC-15/CAN: 0x059e


@pytest.mark.parametrize(
    ("plain", "stuffed"),
    [
        ("00000", "000001"),
        ("11111", "111110"),
        ("0101", "0101"),
        # The stuffed bit counts towards the next run.
        ("00000 1111 0", "00000 1 1111 0 0"),
        ("11111 0000 1", "11111 0 0000 1 1"),
    ],
)
def test_stuffing(plain, stuffed):
    assert stuff(bits(plain)) == bits(stuffed)


def test_the_shortest_frame_is_44_bits_and_three_of_intermission():
    # The field reckons with 47; only remote frames whose DLC breaks the zeros around it are that short.
    lengths = {
        dlc: min(len(frame_bits(BusFrame(identifier=i, remote=True, dlc=dlc)) + idle()) for i in range(2048))
        for dlc in (0, 8)
    }
    assert lengths == {0: 48, 8: 47}


def test_a_frame_written_out_by_hand():
    base = frame_bits(BusFrame(identifier=0x555, dlc=1, data=b"\x5a"), acknowledged=False)
    # Start, identifier, RTR, IDE, r0, DLC with a stuffed bit after five zeros, data.
    assert base[:28] == bits("0 10101010101 0 0 0 00 1 01 01011010")
    assert base[-10:] == bits("1 1 1 1111111")
    extended = frame_bits(BusFrame(identifier=0x15555555, extended=True, remote=True, dlc=5))
    # Start, base identifier, SRR, IDE, the rest, RTR, r1, r0, DLC.
    assert extended[:39] == bits("0 10101010101 1 1 010101010101010101 1 0 0 0101")
    assert extended[-10:] == bits("1 0 1 1111111")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"identifier": 2048}, "identifier 2048 does not fit"),
        ({"identifier": 1 << 29, "extended": True}, "does not fit"),
        ({"identifier": 1, "dlc": 16}, "dlc must be 0 to 15, not 16"),
        ({"identifier": 1, "dlc": 9, "data": bytes(9)}, "carries 8 bytes, not 9"),
        ({"identifier": 1, "remote": True, "dlc": 1, "data": b"x"}, "carries 0 bytes, not 1"),
    ],
)
def test_impossible_frames_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        BusFrame(**options)


def test_receiving_undoes_sending():
    rng = np.random.default_rng(11)
    frames = [random_frame(rng) for _ in range(300)]
    sent = [bit for frame in frames for bit in frame_bits(frame) + idle()]
    assert list(receive(sent)) == [frame.received for frame in frames]


def test_no_single_flipped_bit_lets_a_wrong_frame_pass():
    frame = BusFrame(identifier=0x2A5, dlc=3, data=b"\x00\xff\x3c")
    sent = frame_bits(frame) + idle()
    for place in range(len(sent)):
        spoilt = sent.copy()
        spoilt[place] ^= 1
        after = frame_bits(frame)
        got = list(receive([*spoilt, *idle(17), *after, *idle()]))
        # The acknowledge slot may be either; from the last bit of the end of frame on it is an overload flag.
        acknowledge, last_of_end = len(sent) - 12, len(sent) - 4
        harmless = place == acknowledge or place >= last_of_end
        assert got == [frame] * (2 if harmless else 1), f"bit {place} flipped"


@pytest.mark.parametrize("flag_bits", [6, 9, 12])
def test_error_and_overload_frames(flag_bits):
    frame = BusFrame(identifier=0x123, dlc=1, data=b"\x55")
    good = frame_bits(frame)
    flag = error_frame(flag_bits=flag_bits)
    assert list(receive([*good[:30], *flag, *good, *idle()])) == [frame]
    assert list(receive([*good, *overload_frame(flag_bits=flag_bits), *good, *idle()])) == [frame, frame]
    with pytest.raises(ValueError, match="6 to 12 bits long, not 13"):
        error_frame(flag_bits=13)


def test_a_waveform_keeps_its_clock_error_over_any_length():
    samples = Waveform(cycles_per_bit=10, clock_error=0.003).send([0, 1] * 5000).samples()
    assert len(samples) == 100_300
    edges = np.flatnonzero(np.diff(samples)) + 1
    assert np.abs(edges - 10.03 * np.arange(1, 10_000)).max() <= 0.5 + 1e-6


def test_glitches_are_no_longer_than_asked():
    clean = np.ones(10_000, np.uint8)
    spoilt = with_glitches(clean, rng=np.random.default_rng(3), count=20, longest=2)
    assert 20 <= (spoilt != clean).sum() <= 40


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("size", FD_SIZES)
def test_a_classical_node_never_takes_an_fd_frame_for_one_of_its_own(size, extended):
    wave = Waveform(cycles_per_bit=1)
    send_fd_frame(wave, identifier=0x7F0, data=bytes(size), extended=extended)
    frame = BusFrame(identifier=0x7F0)
    assert list(receive([*wave.samples(), *idle(), *frame_bits(frame), *idle()])) == [frame]
    wave = Waveform(cycles_per_bit=1).send([1])
    send_fd_frame(wave, identifier=0x7F0, data=bytes(size), extended=extended)
    longest = max(len(run) for run in "".join(map(str, wave.samples()[:-11])).split("0"))
    assert longest <= 6  # stuffed throughout; the CRC delimiter may follow five equal bits


def test_an_fd_frame_with_an_impossible_size_is_refused():
    with pytest.raises(ValueError, match=r"carries one of .* not 9"):
        send_fd_frame(Waveform(cycles_per_bit=1), identifier=0, data=bytes(9))
