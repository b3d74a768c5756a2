"""Shift bytes between bus lanes, where a transfer begins anywhere, and packed beats, which begin in lane 0.

Both ways rotate each beat by the lane in which the transfer begins, and complete it with lanes of the beat
before it. The rotation has a register stage of its own: sixteen ways of 128 bits are slow enough.
"""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.transfer import Burst
from hw.stream import ByteBeat

__all__ = ["BusBeat", "Pack", "Spread", "WriteBeat"]


def _rotate_down(value: Value, lanes: Value) -> Value:
    """Move byte `lanes` to byte 0, in a tree of two-way choices."""
    for index in range(len(lanes)):
        value = Mux(lanes[index], value.rotate_right(8 << index), value)
    return value


def _merge(take_new, new: Value, held: Value) -> Value:
    return Cat(
        Mux(take, new.word_select(lane, 8), held.word_select(lane, 8)) for lane, take in enumerate(take_new)
    )


class BusBeat(data.StructLayout):
    """A beat as read, and where in a transfer it stands; the lanes are those of `Burst`."""

    def __init__(self, data_bits: int):
        lane_bits = (data_bits // 8 - 1).bit_length()
        super().__init__({"data": data_bits, "first": 1, "last": 1, "offset": lane_bits, "tail": lane_bits})


class WriteBeat(data.StructLayout):
    """A beat to write, as on the W channel."""

    def __init__(self, data_bits: int):
        super().__init__({"data": data_bits, "strb": data_bits // 8, "last": 1})


class Pack(wiring.Component):
    """Bus beats in, packed beats out; `last` and a partial `keep` on the last. Bytes outside `keep` are junk.

    Latency 2 cycles (one beat more for a transfer that begins inside a beat), initiation interval 1 cycle;
    one cycle is lost after a transfer whose last packed beat needs no new bus beat. Full back-pressure.
    """

    LATENCY_CYCLES = 2

    def __init__(self, *, data_bits: int):
        self._lanes = data_bits // 8
        super().__init__(
            {
                "i": In(stream.Signature(BusBeat(data_bits))),
                "o": Out(stream.Signature(ByteBeat(data_bits))),
                "idle": Out(1),
            }
        )

    def compute(self, beats: Iterable[dict]) -> list[bytes]:
        """The golden twin: the bytes of each transfer in `beats` (as the fields of `BusBeat`)."""
        transfers, held = [], bytearray()
        for beat in beats:
            held += beat["data"].to_bytes(self._lanes, "little")
            if beat["last"]:
                reaches = beat["offset"] + beat["tail"] >= self._lanes
                packed_beats = len(held) // self._lanes - reaches
                length = (packed_beats - 1) * self._lanes + beat["tail"] + 1
                transfers.append(bytes(held[beat["offset"] : beat["offset"] + length]))
                held.clear()
        return transfers

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes = self._lanes
        beat = Signal.like(self.i.payload)  # rotated
        beat_valid = Signal()
        beat_ready = Signal()
        m.d.comb += self.i.ready.eq(~beat_valid | beat_ready)
        with m.If(self.i.ready):
            m.d.sync += [
                beat_valid.eq(self.i.valid),
                beat.eq(self.i.payload),
                beat.data.eq(_rotate_down(self.i.payload.data, self.i.payload.offset)),
            ]

        held = Signal.like(beat.data)
        finish = Signal()  # the last packed beat is all in `held`
        # Whether the bytes of the last packed beat reach into one bus beat more.
        reaches = (beat.offset + beat.tail)[-1]
        complete = Signal()  # this bus beat gives a whole packed beat by itself
        m.d.comb += complete.eq((beat.offset == 0) | (beat.first & beat.last))
        tail_keep = Cat(lane <= beat.tail for lane in range(lanes))
        take_new = [~finish & (complete | (beat.offset >= lanes - lane)) for lane in range(lanes)]

        ends = Signal()
        m.d.comb += ends.eq(finish | (beat.last & (complete | reaches)))
        move = Signal()
        m.d.comb += [
            move.eq((~self.o.valid | self.o.ready) & beat_valid),
            # A beat that still has bytes to give stays for one more cycle, as `held`.
            beat_ready.eq(move & (~beat.last | ends)),
            self.idle.eq(~beat_valid & ~self.o.valid),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(move):
            m.d.sync += [
                self.o.valid.eq(complete | ~beat.first | finish),
                self.o.payload.data.eq(_merge(take_new, beat.data, held)),
                self.o.payload.keep.eq(Mux(ends, tail_keep, ~0)),
                self.o.payload.last.eq(ends),
                held.eq(beat.data),
                finish.eq(beat.last & ~ends),
            ]
        return m


class Spread(wiring.Component):
    """Packed beats in, the beats of `burst` out, with strobes; its last beat passes it on to `written`.

    A transfer takes as many packed beats as its length needs; their `keep` and `last` are not looked at. An
    empty burst takes none and goes straight on. Latency 1 cycle, initiation interval 1 cycle. Full
    back-pressure.
    """

    LATENCY_CYCLES = 1

    def __init__(self, *, data_bits: int, addr_bits: int):
        self._lanes = data_bits // 8
        burst = Burst(data_bits=data_bits, addr_bits=addr_bits)
        super().__init__(
            {
                "i": In(stream.Signature(ByteBeat(data_bits))),
                "burst": In(stream.Signature(burst)),
                "o": Out(stream.Signature(WriteBeat(data_bits))),
                "written": Out(stream.Signature(burst)),
                "starved": Out(1),
            }
        )

    def compute(self, transfer: bytes, *, offset: int) -> list[tuple[bytes, list[bool]]]:
        """The golden twin: bytes and strobes of each bus beat of a transfer that begins in lane `offset`."""
        lanes = self._lanes
        padding = -(offset + len(transfer)) % lanes
        content = bytes(offset) + transfer + bytes(padding)
        strobes = [False] * offset + [True] * len(transfer) + [False] * padding
        return [(content[i : i + lanes], strobes[i : i + lanes]) for i in range(0, len(content), lanes)]

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes, burst = self._lanes, self.burst.payload
        count = Signal(8)
        burst_ends = count == burst.len
        first = burst.first & (count == 0)
        last = burst.last & burst_ends
        end = (burst.offset + burst.tail)[: len(burst.offset)]
        # The last bus beat may hold only what the beat before it left over.
        takes = Signal()
        m.d.comb += takes.eq(~(last & (burst.offset + burst.tail)[-1]))

        from_held = Signal(lanes)
        held = Signal.like(self.i.payload.data)
        new = Signal.like(self.i.payload.data)
        m.d.comb += self.o.payload.data.eq(_merge(~from_held, new, held))

        busy = self.burst.valid & ~burst.empty
        free = ~self.o.valid | self.o.ready
        room = free & (self.written.ready | ~burst_ends)
        have = self.i.valid | ~takes
        step = Signal()
        m.d.comb += [
            step.eq(busy & have & room),
            self.starved.eq(busy & ~have),
            self.i.ready.eq(busy & takes & room),
            self.written.valid.eq(self.burst.valid & (burst.empty | (burst_ends & have & free))),
            self.written.payload.eq(burst),
            self.burst.ready.eq(self.written.valid & self.written.ready),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.last.eq(burst_ends),
                self.o.payload.strb.eq(
                    Cat(~(first & (lane < burst.offset)) & ~(last & (lane > end)) for lane in range(lanes))
                ),
                from_held.eq(Cat(lane < burst.offset for lane in range(lanes))),
                new.eq(_rotate_down(self.i.payload.data, (-burst.offset)[: len(burst.offset)])),
                held.eq(new),
                count.eq(Mux(burst_ends, 0, count + 1)),
            ]
        return m
