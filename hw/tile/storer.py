"""Finished rows, from their slots to memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.transfer import Transfer
from hw.overlay.description import MEMORY_ADDR_BITS
from hw.stream import ByteBeat, Fifo
from hw.tile.instruction import BITS, Opcode, layout
from hw.tile.loader import COUNT_BITS
from hw.tile.preset import Preset

__all__ = ["Storer"]


class Storer(wiring.Component):
    """Carry out STORE: a transfer for each row, then its words as soon as the row is ready.

    Words are read one a cycle at `addr`, and come back at `word` two cycles later. `freed` pulses when a slot
    has been read. `requested` counts rows, as the write engine counts those in memory.
    """

    READ_CYCLES = 2

    def __init__(self, preset: Preset):
        self.preset = preset
        super().__init__(
            {
                "i": In(stream.Signature(BITS)),
                "base": In(MEMORY_ADDR_BITS),
                "limit": In(32),
                "row_ready": In(1),
                "addr": Out(range(preset.row_slots * preset.row_words)),
                "word": In(preset.bus_bits),
                "request": Out(stream.Signature(Transfer(MEMORY_ADDR_BITS))),
                "data": Out(stream.Signature(ByteBeat(preset.bus_bits))),
                "freed": Out(1),
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
        with m.If(~active & self.i.valid):
            m.d.sync += [op.as_value().eq(head.as_value()), active.eq(1), asking.eq(1), moving.eq(1)]
        with m.Elif(active & ~asking & ~moving):
            m.d.sync += active.eq(0)
        opens = ~active & self.i.valid
        self._ask(m, op, head, opens, asking)
        self._move(m, op, opens, moving)
        with m.If(self.start):
            m.d.sync += self.requested.eq(0)
        return m

    def _ask(self, m: Module, op, head, opens, asking: Signal) -> None:
        addr, row, halted = Signal(33), Signal(10), Signal()
        ends = Signal(34)
        m.d.comb += [
            ends.eq(addr + op.words * self.preset.channels),
            self.outside.eq(asking & (ends > self.limit) & ~halted),
            self.outside_addr.eq(addr),
            self.request.valid.eq(asking & (ends <= self.limit)),
            self.request.payload.addr.eq(self.base + addr[:32]),
            self.request.payload.length.eq(op.words * self.preset.channels),
        ]
        with m.If(opens):
            m.d.sync += [addr.eq(head.addr), row.eq(0)]
        with m.If(self.outside):
            m.d.sync += halted.eq(1)
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [addr.eq(addr + op.stride), row.eq(row + 1), self.requested.eq(self.requested + 1)]
            with m.If(row == op.last_row):
                m.d.sync += asking.eq(0)

    def _move(self, m: Module, op, opens, moving: Signal) -> None:
        preset = self.preset
        ready_rows = Signal(range(preset.row_slots + 1))
        slot = Signal(range(preset.row_slots))
        word, row = Signal(12), Signal(10)
        m.submodules.out = out = Fifo(shape=preset.bus_bits, depth=16)
        read = Signal()
        on_way = Signal(self.READ_CYCLES)
        m.d.comb += [
            read.eq(moving & (ready_rows != 0) & (out.level <= 12)),
            self.addr.eq(slot * preset.row_words + word),
            out.i.payload.eq(self.word),
            out.i.valid.eq(on_way[-1]),
            self.data.payload.data.eq(out.o.payload),
            self.data.payload.keep.eq(-1),
            self.data.valid.eq(out.o.valid),
            out.o.ready.eq(self.data.ready),
        ]
        m.d.sync += on_way.eq((on_way << 1) | read)
        with m.If(opens):
            m.d.sync += [word.eq(0), row.eq(0)]
        with m.If(read):
            m.d.sync += word.eq(word + 1)
            with m.If(word == op.words - 1):
                m.d.comb += self.freed.eq(1)
                m.d.sync += [word.eq(0), row.eq(row + 1), slot.eq(slot + 1)]
                with m.If(row == op.last_row):
                    m.d.sync += moving.eq(0)
        with m.If(self.row_ready & ~self.freed):
            m.d.sync += ready_rows.eq(ready_rows + 1)
        with m.Elif(~self.row_ready & self.freed):
            m.d.sync += ready_rows.eq(ready_rows - 1)
