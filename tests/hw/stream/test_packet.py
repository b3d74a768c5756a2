import pytest
from amaranth.lib import data

from hw.stream import ByteBeat, LaneBeat, Packet, is_packet


def test_a_byte_beat_is_a_lane_beat_of_bytes():
    assert ByteBeat(24) == LaneBeat(lane_bits=8, lanes=3)
    assert ByteBeat(24) == data.StructLayout({"data": 24, "keep": 3, "last": 1})


def test_packets_are_known_by_their_last():
    assert is_packet(Packet(5))
    assert is_packet(ByteBeat(32))
    assert not is_packet(8)
    assert not is_packet(data.StructLayout({"data": 8}))
    assert not is_packet(data.StructLayout({"last": 2}))


@pytest.mark.parametrize("data_bits", [0, 12, -8, "8"])
def test_odd_widths_are_refused(data_bits):
    with pytest.raises(ValueError, match=f"positive multiple of 8, not {data_bits!r}"):
        ByteBeat(data_bits)


def test_a_beat_without_lanes_is_refused():
    with pytest.raises(ValueError, match="lanes of a beat must be a positive integer, not 0"):
        LaneBeat(lane_bits=4, lanes=0)
