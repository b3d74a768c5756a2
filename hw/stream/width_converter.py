"""Narrow beats to wide ones and back, at any ratio."""

from collections.abc import Iterable
from math import gcd

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .packet import LaneBeat

__all__ = ["WidthConverter"]


class WidthConverter(wiring.Component):
    """Repack `LaneBeat`s of `i_lanes` lanes into beats of `o_lanes`, in order, packet by packet.

    Any two widths: `WidthConverter(lane_bits=8, i_lanes=3, o_lanes=8)` takes 24-bit pixels to a 64-bit bus.
    `last` flushes: the final beat of a packet may be partial, `keep` says how far, and lanes beyond it are
    zero. Input beats are full but for the last of a packet, which may even be empty (it then only ends it).

    Latency 1 cycle from the beat that completes an output beat. Initiation interval 1 cycle on the side that
    has more beats, within a packet and from packet to packet. Full back-pressure; `i.ready` follows `o.ready`
    within the cycle.
    """

    LATENCY_CYCLES = 1
    INTERVAL_CYCLES = 1

    def __init__(self, *, lane_bits: int, i_lanes: int, o_lanes: int):
        self.i_shape = LaneBeat(lane_bits=lane_bits, lanes=i_lanes)
        self.o_shape = LaneBeat(lane_bits=lane_bits, lanes=o_lanes)
        super().__init__({"i": In(stream.Signature(self.i_shape)), "o": Out(stream.Signature(self.o_shape))})

    def compute(self, beats: Iterable[dict]) -> list[dict]:
        """The golden twin: the beats that `beats` become; an unfinished packet leaves its rest inside."""
        bits, o_lanes = self.o_shape.lane_bits, self.o_shape.lanes
        packed: list[dict] = []
        lanes: list[int] = []

        def emit(*, last: int) -> None:
            beat, lanes[:] = lanes[:o_lanes], lanes[o_lanes:]
            value = sum(lane << index * bits for index, lane in enumerate(beat))
            packed.append({"data": value, "keep": (1 << len(beat)) - 1, "last": last})

        for beat in beats:
            lanes += [
                beat["data"] >> index * bits & (1 << bits) - 1 for index in range(beat["keep"].bit_length())
            ]
            while len(lanes) > o_lanes or (len(lanes) == o_lanes and not beat["last"]):
                emit(last=0)
            if beat["last"]:
                emit(last=1)
        return packed

    def elaborate(self, platform) -> Module:
        m = Module()
        i_lanes, o_lanes, lane_bits = self.i_shape.lanes, self.o_shape.lanes, self.o_shape.lane_bits
        # Between full beats the fill level is a multiple of `step`, so that few insert positions are needed.
        step = gcd(i_lanes, o_lanes)
        lanes_max = i_lanes + o_lanes - step
        buffer = Signal(lanes_max * lane_bits)  # lanes from `level` up are zero
        level = Signal(range(lanes_max + 1))
        closing = Signal()  # the buffer holds the end of a packet

        m.d.comb += [
            self.o.valid.eq(closing | (level >= o_lanes)),
            self.o.payload.data.eq(buffer),
            self.o.payload.keep.eq(Cat(level > lane for lane in range(o_lanes))),
            self.o.payload.last.eq(closing & (level <= o_lanes)),
        ]

        # What an output beat that leaves now leaves behind.
        kept = Signal(range(lanes_max + 1))
        rest = Signal.like(buffer)
        m.d.comb += [kept.eq(level), rest.eq(buffer)]
        with m.If(self.o.valid & self.o.ready):
            m.d.comb += [
                kept.eq(Mux(level > o_lanes, level - o_lanes, 0)),
                rest.eq(buffer >> o_lanes * lane_bits),
            ]
            with m.If(self.o.payload.last):
                m.d.sync += closing.eq(0)
        m.d.comb += self.i.ready.eq((kept < o_lanes) & (~closing | (self.o.ready & self.o.payload.last)))

        m.d.sync += [level.eq(kept), buffer.eq(rest)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [level.eq(kept + self._count(m)), closing.eq(self.i.payload.last)]
            with m.Switch(kept):
                for position in range(0, o_lanes, step):
                    with m.Case(position):
                        m.d.sync += buffer.eq(rest | self._kept_data() << position * lane_bits)
        return m

    def _count(self, m: Module) -> Signal:
        """How many lanes the input beat holds."""
        count = Signal(range(self.i_shape.lanes + 1))
        for lane, keep in enumerate(self.i.payload.keep):
            with m.If(keep):
                m.d.comb += count.eq(lane + 1)
        return count

    def _kept_data(self):
        """The input's data with zeros in the lanes that hold nothing."""
        mask = Cat(keep.replicate(self.i_shape.lane_bits) for keep in self.i.payload.keep)
        return self.i.payload.data & mask
