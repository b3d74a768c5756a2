"""Finished rows, from their slots to memory."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.transfer import Transfer
from hw.overlay.description import MEMORY_ADDR_BITS
from hw.stream import ByteBeat, Fifo
from hw.tile.delay import later
from hw.tile.instruction import BITS, Opcode, layout
from hw.tile.kept import KEPT_ADDR_BITS
from hw.tile.loader import COUNT_BITS
from hw.tile.preset import Preset
from hw.tile.residual import SUM, Residual

__all__ = ["Storer"]


class Storer(wiring.Component):
    """Carry out STORE: a transfer for each row, then its words as soon as the row is ready.

    Words are read one a cycle at `addr`, and where a residual row is added at `residual_addr`. What becomes
    of them by `adds`, a cycle later, and `how`, which follows by `SLOT_CYCLES`, comes back at `word`,
    `READ_CYCLES` after the address.
    `freed` and `residual_freed` pulse when a slot has been read. `requested` counts rows, as the write engine
    counts those in memory; `kept` pulses for each row that is complete among the maps on chip.
    """

    SLOT_CYCLES = 2
    READ_CYCLES = SLOT_CYCLES + Residual.LATENCY_CYCLES
    #: Words that leave at once, and how many of them may be there when another is read: as many are in
    #: flight as one takes cycles, and another that the queue's level does not show.
    QUEUE = 16
    ROOM = QUEUE - READ_CYCLES - 1

    def __init__(self, preset: Preset):
        self.preset = preset
        super().__init__(
            {
                "i": In(stream.Signature(BITS)),
                "base": In(MEMORY_ADDR_BITS),
                "limit": In(32),
                "row_ready": In(1),
                "residual_ready": In(1),
                "addr": Out(range(preset.row_slots * preset.row_words)),
                "residual_addr": Out(range(preset.row_slots * preset.row_words)),
                "adds": Out(1),
                "how": Out(SUM),
                "word": In(preset.bus_bits),
                "request": Out(stream.Signature(Transfer(MEMORY_ADDR_BITS))),
                "data": Out(stream.Signature(ByteBeat(preset.bus_bits))),
                "kept_write": Out(1),
                "kept_addr": Out(KEPT_ADDR_BITS),
                "kept": Out(1),
                "freed": Out(1),
                "residual_freed": Out(1),
                "requested": Out(COUNT_BITS),
                "outside": Out(1),
                "outside_addr": Out(32),
                "start": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        op_layout = layout(Opcode.STORE)
        op = data.View(op_layout, Signal(op_layout.size, name="op"))
        head = data.View(op_layout, self.i.payload[8 : 8 + op_layout.size])
        active, asking, moving = Signal(), Signal(), Signal()
        m.d.comb += [self.i.ready.eq(~active), self.idle.eq(~active & ~self.i.valid)]
        opens = ~active & self.i.valid
        with m.If(opens):
            m.d.sync += [op.as_value().eq(head.as_value()), active.eq(1), asking.eq(1), moving.eq(1)]
        with m.Elif(active & ~asking & ~moving):
            m.d.sync += active.eq(0)
        self._ask(m, op, head, opens, asking)
        self._move(m, op, head, opens, moving)
        with m.If(self.start):
            m.d.sync += self.requested.eq(0)
        return m

    def _ask(self, m: Module, op, head, opens, asking: Signal) -> None:
        addr, row, halted, asked = Signal(33), Signal(10), Signal(), Signal()
        ends, limit, fits = Signal(34), Signal(32), Signal()
        m.d.comb += [
            ends.eq(addr + op.words * self.preset.channels),
            limit.eq(Mux(op.kept, self.preset.kept_words * self.preset.channels, self.limit)),
            fits.eq(ends <= limit),
            self.outside.eq(asking & ~fits & ~halted),
            self.outside_addr.eq(addr),
            self.request.valid.eq(asking & fits & ~op.kept),
            self.request.payload.addr.eq(self.base + addr[:32]),
            self.request.payload.length.eq(op.words * self.preset.channels),
            asked.eq(self.request.valid & self.request.ready),
        ]
        with m.If(opens):
            m.d.sync += [addr.eq(head.addr), row.eq(0)]
        with m.If(self.outside):
            m.d.sync += halted.eq(1)
        with m.If(asked):
            m.d.sync += self.requested.eq(self.requested + 1)
        with m.If(asked | (asking & fits & op.kept)):
            m.d.sync += [addr.eq(addr + op.stride), row.eq(row + 1)]
            with m.If(row == op.last_row):
                m.d.sync += asking.eq(0)

    def _move(self, m: Module, op, head, opens, moving: Signal) -> None:
        preset = self.preset
        slots, residuals = (_Slots(m, name, preset.row_slots) for name in ("slots", "residuals"))
        word, row = Signal(12), Signal(10)
        m.submodules.out = out = Fifo(shape=preset.bus_bits, depth=self.QUEUE)
        read, row_ends = Signal(), Signal()
        room = out.level < self.ROOM
        m.d.comb += [
            read.eq(moving & (slots.ready != 0) & ((residuals.ready != 0) | ~op.adds) & room),
            row_ends.eq(read & (word == op.words - 1)),
            self.freed.eq(row_ends),
            self.residual_freed.eq(row_ends & op.adds),
            self.addr.eq(slots.first * preset.row_words + word),
            self.residual_addr.eq(residuals.first * preset.row_words + word),
            self.data.payload.data.eq(out.o.payload),
            self.data.payload.keep.eq(-1),
            self.data.valid.eq(out.o.valid),
            out.o.ready.eq(self.data.ready),
            # The next instruction is looked at when the last word has come from its slot, not before.
            self.adds.eq(op.adds),
            *(self.how[name].eq(op[name]) for name in SUM.members),
        ]
        slots.count(self.row_ready, self.freed)
        residuals.count(self.residual_ready, self.residual_freed)
        with m.If(opens):
            m.d.sync += [word.eq(0), row.eq(0)]
        with m.If(read):
            m.d.sync += word.eq(word + 1)
        with m.If(row_ends):
            m.d.sync += [word.eq(0), row.eq(row + 1)]
            with m.If(row == op.last_row):
                m.d.sync += moving.eq(0)
        place = self._kept_place(m, op, head, opens, read, row_ends)
        leaves = Cat(read & ~op.kept, read & op.kept, row_ends & op.kept, place)
        way = later(m, leaves, self.READ_CYCLES, "way")
        m.d.comb += [
            out.i.payload.eq(self.word),
            Cat(out.i.valid, self.kept_write, self.kept, self.kept_addr).eq(way),
        ]

    def _kept_place(self, m: Module, op, head, opens, read: Value, row_ends: Value) -> Signal:
        """Where among the maps on chip the word goes that is read."""
        lane_bits = self.preset.channels.bit_length() - 1
        place, row_place, below = (Signal(KEPT_ADDR_BITS, name=name) for name in ("place", "row", "below"))
        m.d.comb += below.eq(row_place + (op.stride >> lane_bits))
        with m.If(opens):
            m.d.sync += [place.eq(head.addr >> lane_bits), row_place.eq(head.addr >> lane_bits)]
        with m.Elif(row_ends):
            m.d.sync += [place.eq(below), row_place.eq(below)]
        with m.Elif(read):
            m.d.sync += place.eq(place + 1)
        return place


class _Slots:
    """Rows that wait in slots, which are used in turn."""

    def __init__(self, m: Module, name: str, count: int):
        self._m = m
        self.ready = Signal(range(count + 1), name=f"{name}_ready")
        self.first = Signal(range(count), name=f"{name}_first")

    def count(self, arrives: Value, leaves: Value) -> None:
        self._m.d.sync += self.ready.eq(self.ready + arrives - leaves)
        with self._m.If(leaves):
            self._m.d.sync += self.first.eq(self.first + 1)
