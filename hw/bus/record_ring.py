"""Records into a ring in memory for a host to read, losses counted and interrupts moderated."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.transfer import Transfer
from hw.stream import ByteBeat

__all__ = ["COUNT_BITS", "Moderator", "RecordRing"]

#: Head and tail count records since reset, modulo 2**32.
COUNT_BITS = 32


class RecordRing(wiring.Component):
    """Hand each record to a `Writer` as one transfer, into the next place of a ring of `mask + 1` records.

    Initiation interval: the beats of a record, plus 2 cycles. A record that finds a full ring is dropped with
    a pulse of `dropped`, or waits while `block` is high. `head` counts the records that are in memory for
    sure, so a host may read up to it; it gives places back by raising `tail`. `mask` is one less than a power
    of two. A change of `tail` or `mask` counts `SETTLING_CYCLES` later; `mask` changes while `idle` alone.
    """

    SETTLING_CYCLES = 2

    def __init__(self, *, record_bits: int, data_bits: int, addr_bits: int = 40):
        if record_bits < data_bits or record_bits % data_bits or record_bits & (record_bits - 1):
            raise ValueError(
                f"record_bits must be a power of two and at least the {data_bits} bits of a beat, "
                f"not {record_bits!r}"
            )
        self._record_bits = record_bits
        self._data_bits = data_bits
        self._addr_bits = addr_bits
        super().__init__(
            {
                "record": In(stream.Signature(record_bits)),
                "block": In(1),
                "base": In(addr_bits),
                "mask": In(COUNT_BITS),
                "tail": In(COUNT_BITS),
                "head": Out(COUNT_BITS),
                "dropped": Out(1),
                "idle": Out(1),
                # To and from the writer.
                "request": Out(stream.Signature(Transfer(addr_bits))),
                "data": Out(stream.Signature(ByteBeat(data_bits))),
                "done": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        beats = self._record_bits // self._data_bits
        record = Signal(self._record_bits)
        beats_left = Signal(range(beats + 1))
        issued = Signal(COUNT_BITS)
        taken = Signal()
        mask = Signal(COUNT_BITS)
        # What is decided here reaches every bit of a record, so registers lie before it. `full` looks at
        # `issued` of the cycle before, and that is soon enough: after a record was taken, `issued` is new in
        # the first cycle and `full` in the second; `free` falls in the first and rises in the third at the
        # earliest, once `beats_left`, at least 1 in the first, was seen at 0 in the second. A `tail` seen
        # late only makes the ring look fuller than it is. After reset it counts as full until it has been
        # compared: `tail` is from before.
        full, free = Signal(init=1), Signal()
        place_bits = (self._record_bits // 8 - 1).bit_length()
        m.d.comb += [
            self.record.ready.eq(free & ~(full & self.block)),
            taken.eq(self.record.valid & self.record.ready & ~full),
            self.dropped.eq(self.record.valid & self.record.ready & full),
            self.idle.eq((beats_left == 0) & ~self.request.valid & (issued == self.head)),
            self.request.payload.length.eq(self._record_bits // 8),
            self.data.valid.eq(beats_left != 0),
            self.data.payload.data.eq(record[: self._data_bits]),
            self.data.payload.keep.eq(~0),
            self.data.payload.last.eq(beats_left == 1),
        ]
        m.d.sync += [
            mask.eq(self.mask),
            full.eq((issued - self.tail)[:COUNT_BITS] > mask),
            free.eq((beats_left == 0) & ~self.request.valid),
        ]
        with m.If(self.request.ready):
            m.d.sync += self.request.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                record.eq(self.record.payload),
                beats_left.eq(beats),
                issued.eq(issued + 1),
                self.request.valid.eq(1),
                free.eq(0),
                self.request.payload.addr.eq(self.base + Cat(Const(0, place_bits), issued & mask)),
            ]
        with m.If(self.data.valid & self.data.ready):
            m.d.sync += [record.eq(record >> self._data_bits), beats_left.eq(beats_left - 1)]
        with m.If(self.done):
            m.d.sync += self.head.eq(self.head + 1)
        return m


class Moderator(wiring.Component):
    """Ask for an interrupt after `count` events, or `cycles` cycles after the first one not yet announced.

    A zero takes its condition away; with both zero there is no interrupt. `raised` is high for one cycle,
    `LATENCY_CYCLES` after its condition came true; events until then are announced with it.
    """

    LATENCY_CYCLES = 1

    def __init__(self, *, count_bits: int = 8, cycles_bits: int = 24):
        super().__init__(
            {
                "event": In(1),
                "count": In(count_bits),
                "cycles": In(cycles_bits),
                "raised": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        waiting = Signal(len(self.count) + 1)
        age = Signal(len(self.cycles) + 1)
        due = ((self.count != 0) & (waiting >= self.count)) | (
            (self.cycles != 0) & (waiting != 0) & (age >= self.cycles)
        )
        m.d.sync += self.raised.eq(due & ~self.raised)
        with m.If(self.raised):
            m.d.sync += [waiting.eq(self.event), age.eq(0)]
        with m.Else():
            with m.If(self.event & (waiting != (1 << len(waiting)) - 1)):
                m.d.sync += waiting.eq(waiting + 1)
            with m.If((waiting != 0) & (age != (1 << len(age)) - 1)):
                m.d.sync += age.eq(age + 1)
        return m
