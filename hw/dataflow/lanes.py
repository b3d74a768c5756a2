"""Several numbers a beat to fewer or more, and a vector again and again: between folded layers."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["Regroup", "RepeatBuffer"]


class Regroup(wiring.Component):
    """Gather beats of `i_lanes` numbers into beats of `o_lanes`, or split them; in order, first lowest.

    One number of lanes must divide the other. Latency 1 cycle from the beat that completes an output beat.
    Initiation interval 1 cycle on the side that has more beats. Full back-pressure.
    """

    LATENCY_CYCLES = 1

    def __init__(self, *, shape, i_lanes: int, o_lanes: int):
        if min(i_lanes, o_lanes) < 1 or max(i_lanes, o_lanes) % min(i_lanes, o_lanes):
            raise ValueError(f"i_lanes and o_lanes must divide each other, not {i_lanes!r} and {o_lanes!r}")
        self._shape, self.i_lanes, self.o_lanes = shape, i_lanes, o_lanes
        super().__init__(
            {
                "i": In(stream.Signature(data.ArrayLayout(shape, i_lanes))),
                "o": Out(stream.Signature(data.ArrayLayout(shape, o_lanes))),
            }
        )

    def compute(self, beats: Iterable[list]) -> list[list]:
        """The golden twin; an unfinished output beat stays inside."""
        numbers = [number for beat in beats for number in beat]
        whole = len(numbers) - len(numbers) % self.o_lanes
        return [numbers[at : at + self.o_lanes] for at in range(0, whole, self.o_lanes)]

    def elaborate(self, platform) -> Module:
        m = Module()
        i, o = Value.cast(self.i.payload), Value.cast(self.o.payload)
        wide, narrow = max(self.i_lanes, self.o_lanes), min(self.i_lanes, self.o_lanes)
        parts = wide // narrow
        part = Signal(range(max(2, parts)))
        last = Const(1) if parts == 1 else part == parts - 1
        taken, given = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        if self.o_lanes >= self.i_lanes:
            m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
            with m.If(given):
                m.d.sync += self.o.valid.eq(0)
            with m.If(taken):
                m.d.sync += [
                    o.eq(Cat(o, i)[len(i) :]),
                    self.o.valid.eq(last),
                    part.eq(Mux(last, 0, part + 1)),
                ]
            return m
        held = Signal(len(i))
        bits = len(o)
        m.d.comb += [self.i.ready.eq(~self.o.valid | (self.o.ready & last)), o.eq(held[:bits])]
        with m.If(given):
            m.d.sync += [held.eq(held >> bits), part.eq(part + 1)]
            with m.If(last):
                m.d.sync += self.o.valid.eq(0)
        with m.If(taken):
            m.d.sync += [held.eq(i), part.eq(0), self.o.valid.eq(1)]
        return m


class RepeatBuffer(wiring.Component):
    """Hold vectors of `beats` beats and give each of them `times` times in a row.

    While a vector is repeated, the next one is taken in. Latency 2 cycles from a vector's last beat;
    initiation interval 1 cycle within a vector, and from vector to vector. Full back-pressure.
    """

    LATENCY_CYCLES = 2

    def __init__(self, *, shape, beats: int, times: int):
        for name, number in (("beats", beats), ("times", times)):
            if not isinstance(number, int) or number < 1:
                raise ValueError(f"{name} of a RepeatBuffer must be a positive integer, not {number!r}")
        self._shape, self.beats, self.times = shape, beats, times
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def compute(self, items: Iterable) -> list:
        """The golden twin; an unfinished vector stays inside."""
        items = list(items)
        whole = range(0, len(items) - len(items) % self.beats, self.beats)
        return [item for at in whole for item in items[at : at + self.beats] * self.times]

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(
            shape=Shape.cast(self._shape).width, depth=2 * self.beats, init=[]
        )
        write, read = memory.write_port(), memory.read_port()
        # Two vectors, each in a half of the memory, with a flag for "whole".
        whole = Signal(2)
        i_half, o_half = Signal(), Signal()
        i_beat, o_beat = Signal(range(max(2, self.beats))), Signal(range(max(2, self.beats)))
        turn = Signal(range(max(2, self.times)))
        i_last, o_last = i_beat == self.beats - 1, o_beat == self.beats - 1
        reading = whole.bit_select(o_half, 1) & (~self.o.valid | self.o.ready)

        m.d.comb += [
            self.i.ready.eq(~whole.bit_select(i_half, 1)),
            write.addr.eq(Mux(i_half, self.beats, 0) + i_beat),
            write.data.eq(Value.cast(self.i.payload)),
            write.en.eq(self.i.valid & self.i.ready),
            read.addr.eq(Mux(o_half, self.beats, 0) + o_beat),
            read.en.eq(reading),
            Value.cast(self.o.payload).eq(read.data),
        ]
        with m.If(reading):
            m.d.sync += [self.o.valid.eq(1), o_beat.eq(Mux(o_last, 0, o_beat + 1))]
            with m.If(o_last):
                m.d.sync += turn.eq(Mux(turn == self.times - 1, 0, turn + 1))
                with m.If(turn == self.times - 1):
                    m.d.sync += [whole.bit_select(o_half, 1).eq(0), o_half.eq(~o_half)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(write.en):
            m.d.sync += i_beat.eq(Mux(i_last, 0, i_beat + 1))
            with m.If(i_last):
                m.d.sync += [whole.bit_select(i_half, 1).eq(1), i_half.eq(~i_half)]
        return m
