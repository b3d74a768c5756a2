"""Payload layouts that several units share: packets of items, and packets of lanes with a partial last beat.

Every layout has a one-bit field `last`, which ends a packet. Packet-aware units look for that field by name.
"""

from amaranth.hdl import Shape
from amaranth.lib import data

__all__ = ["ByteBeat", "LaneBeat", "Packet", "is_packet"]


class Packet(data.StructLayout):
    """One item of any shape a beat, and `last`."""

    def __init__(self, shape):
        super().__init__({"data": shape, "last": 1})


class LaneBeat(data.StructLayout):
    """Several lanes a beat: lane 0, the first in time, in the low bits of `data`.

    `keep` says which lanes hold something: it is contiguous from bit 0, and full on every beat but the last
    of a packet.
    """

    def __init__(self, *, lane_bits: int, lanes: int):
        for name, value in (("lane_bits", lane_bits), ("lanes", lanes)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} of a beat must be a positive integer, not {value!r}")
        self.lane_bits = lane_bits
        self.lanes = lanes
        super().__init__({"data": lane_bits * lanes, "keep": lanes, "last": 1})


class ByteBeat(LaneBeat):
    """The beat of the DMA engines: `data_bits` of data, a bit of `keep` for each byte, and `last`."""

    def __init__(self, data_bits: int):
        if not isinstance(data_bits, int) or data_bits < 8 or data_bits % 8:
            raise ValueError(f"data_bits of a ByteBeat must be a positive multiple of 8, not {data_bits!r}")
        super().__init__(lane_bits=8, lanes=data_bits // 8)


def is_packet(shape) -> bool:
    """Whether `shape` has the one-bit field that ends a packet."""
    if not isinstance(shape, data.Layout):
        return False
    return any(key == "last" and Shape.cast(field.shape).width == 1 for key, field in shape)
