"""The encodings, against a frame written out by hand."""

import numpy as np
import pytest

from models.can_ids.features import Encoding, is_judged
from models.can_ids.frames import Frames


def frames_of(*rows: tuple[int, str]) -> Frames:
    frames = Frames.zeros(len(rows))
    for row, (identifier, payload) in enumerate(rows):
        data = bytes.fromhex(payload)
        frames.identifier[row], frames.dlc[row] = identifier, len(data)
        frames.data[row, : len(data)] = list(data)
    return frames


def test_bytes_are_identifier_and_payload_less_128():
    windows = Encoding(kind="bytes", window=1).windows(frames_of((0x316, "05a0ff")))
    assert windows.dtype == np.int8
    assert windows.tolist() == [[3 - 128, 0x16 - 128, 5 - 128, 0xA0 - 128, 127, *[-128] * 5]]


def test_bits_come_in_the_order_of_the_wire():
    windows = Encoding(kind="bits", window=1).windows(frames_of((0b101_0000_0001, "80010000000000fe")))
    text = "10100000001" + "10000000" + "00000001" + "0" * 40 + "11111110"
    assert windows.tolist() == [[int(bit) for bit in text]]


@pytest.mark.parametrize("kind", ["bytes", "bits"])
def test_windows_overlap_and_the_newest_frame_is_last(kind):
    frames = frames_of(*((number, f"{number:02x}") for number in range(7)))
    single = Encoding(kind=kind, window=1).windows(frames)
    windows = Encoding(kind=kind, window=3).windows(frames)
    assert windows.shape == (5, Encoding(kind=kind, window=3).features)
    for row in range(5):
        assert windows[row].tolist() == np.concatenate(single[row : row + 3]).tolist()


def test_fewer_frames_than_a_window_make_no_window():
    assert Encoding(kind="bits", window=4).windows(frames_of((1, ""), (2, ""))).shape == (0, 300)


def test_frames_without_11_bit_identifier_are_refused_with_their_number():
    frames = frames_of((1, ""), (2, ""), (3, ""))
    frames.extended[1] = frames.remote[2] = True
    assert is_judged(frames).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="2 of 3 frames are remote or have a 29-bit"):
        Encoding(kind="bits", window=1).windows(frames)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kind": "words", "window": 4}, "'words'"), ({"kind": "bits", "window": 0}, "1 to 64 frames, not 0")],
)
def test_impossible_encodings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Encoding(**options)
