"""Rows of features and words of weights, from memory into the engine's buffers."""

import numpy as np
from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.transfer import Transfer
from hw.overlay.description import MEMORY_ADDR_BITS
from hw.stream import ByteBeat, Fifo
from hw.tile.instruction import BITS, Opcode, layout
from hw.tile.kept import RUN
from hw.tile.parts import wrapped
from hw.tile.preset import Preset

__all__ = ["Loader"]

COUNT_BITS = 24
#: Columns of a row are counted in so many bits.
COLUMN_BITS = 12


class Loader(wiring.Component):
    """Carry out LOAD instructions in order: requests run ahead, data is written one word a cycle.

    Column c of a row goes to each pixel lane in whose window it lies: two windows overlap by the columns that
    the kernel needs of both. `complete` counts loads that are written. Words come from memory, or by
    `kept_request` from the maps on chip. A residual row waits for one of the storer's slots, which
    `residual_freed` says to be free again, and `residual_ready` pulses when it is there.

    With `fold`, the word of a column holds the pixel there and those to its right, see `folded`: the newest
    are kept, and a word is written when its last pixel has come. A row takes a cycle a pixel in any case.
    """

    #: Loads that were requested and wait to be written.
    ASKED = 8

    def __init__(self, preset: Preset):
        self.preset = preset
        word = 8 * preset.channels
        super().__init__(
            {
                "i": In(stream.Signature(BITS)),
                "base": In(MEMORY_ADDR_BITS),
                "limit": In(32),
                "computed": In(COUNT_BITS),
                "stored": In(COUNT_BITS),
                "stored_kept": In(COUNT_BITS),
                "request": Out(stream.Signature(Transfer(MEMORY_ADDR_BITS))),
                "data": In(stream.Signature(ByteBeat(preset.bus_bits))),
                "kept_request": Out(stream.Signature(RUN)),
                "kept_data": In(stream.Signature(preset.bus_bits)),
                "bank_addr": Out(data.ArrayLayout(16, preset.pixels)),
                "bank_write": Out(preset.pixels),
                "bank_data": Out(word),
                "weight_addr": Out(16),
                "weight_write": Out(preset.weight_beats),
                "residual_addr": Out(range(preset.row_slots * preset.row_words)),
                "residual_write": Out(1),
                "residual_ready": Out(1),
                "residual_freed": In(1),
                "complete": Out(COUNT_BITS),
                "waiting": Out(1),
                "outside": Out(1),
                "outside_addr": Out(32),
                "start": In(1),
                "idle": Out(1),
            }
        )

    @staticmethod
    def folded(row: np.ndarray, size: int) -> np.ndarray:
        """The golden twin of `fold`: of a row (column, byte), the low `size` bytes of pixels side by side."""
        columns, lanes = row.shape
        pixels = lanes // size
        words = np.zeros((max(columns - pixels + 1, 0), lanes), row.dtype)
        for pixel in range(pixels):
            words[:, pixel * size : (pixel + 1) * size] = row[pixel : pixel + len(words), :size]
        return words

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.asked = asked = Fifo(shape=BITS, depth=self.ASKED)
        asking = self._ask(m, asked)
        writing = self._write(m, asked)
        m.d.comb += self.idle.eq(~asking & ~writing & (asked.level == 0) & ~self.i.valid)
        with m.If(self.start):
            m.d.sync += self.complete.eq(0)
        return m

    def _ask(self, m: Module, asked: Fifo) -> Signal:
        """Wait for what an instruction waits for, then request its planes and hand it on."""
        row = data.View(
            layout(Opcode.LOAD_FEATURES), self.i.payload[8 : 8 + layout(Opcode.LOAD_FEATURES).size]
        )
        bulk = data.View(
            layout(Opcode.LOAD_WEIGHTS), self.i.payload[8 : 8 + layout(Opcode.LOAD_WEIGHTS).size]
        )
        is_row = self.i.payload[:8] == Opcode.LOAD_FEATURES
        wait_compute, wait_store, stored = Signal(COUNT_BITS), Signal(COUNT_BITS), Signal(COUNT_BITS)
        allowed, asking, halted, kept = Signal(), Signal(), Signal(), Signal()
        addr, stride, left, words = Signal(33), Signal(32), Signal(10), Signal(COUNT_BITS)
        last = Signal()
        lane_bits = self.preset.channels.bit_length() - 1
        with m.If(is_row):
            m.d.comb += [
                wait_compute.eq(row.wait_compute),
                wait_store.eq(row.wait_store),
                stored.eq(Mux(row.kept, self.stored_kept, self.stored)),
            ]
        with m.Else():
            m.d.comb += wait_compute.eq(bulk.wait_compute)
        m.d.comb += [
            self.waiting.eq(self.i.valid & ~asking & ~allowed),
            self.outside_addr.eq(addr),
            self.request.payload.addr.eq(self.base + addr[:32]),
            self.request.payload.length.eq(words * self.preset.channels),
            self.kept_request.payload.addr.eq(addr >> lane_bits),
            self.kept_request.payload.words.eq(words),
        ]
        # A cycle before it is used, or the comparison would lie between the queue's output and its enable.
        reached = (self.computed >= wait_compute) & (stored >= wait_store)
        m.d.sync += allowed.eq(self.i.valid & ~self.i.ready & reached)
        ends, limit = Signal(34), Signal(32)
        m.d.comb += [
            ends.eq(addr + words * self.preset.channels),
            limit.eq(Mux(kept, self.preset.kept_words * self.preset.channels, self.limit)),
        ]
        with m.FSM() as fsm:
            m.d.comb += asking.eq(~fsm.ongoing("WAIT"))
            with m.State("WAIT"), m.If(self.i.valid & allowed & asked.i.ready):
                m.d.comb += [self.i.ready.eq(1), asked.i.valid.eq(1), asked.i.payload.eq(self.i.payload)]
                with m.If(is_row):
                    m.d.sync += [
                        addr.eq(row.addr),
                        stride.eq(row.stride),
                        left.eq(row.last_plane),
                        words.eq(row.words),
                        kept.eq(row.kept),
                    ]
                    with m.If(row.words != 0):
                        m.next = "CHECK"
                with m.Else():
                    m.d.sync += [addr.eq(bulk.addr), left.eq(0), words.eq(bulk.beats), kept.eq(0)]
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.sync += last.eq(left == 0)
                m.next = "REQUEST"
                with m.If(ends > limit):
                    m.d.comb += self.outside.eq(1)
                    m.next = "HALT"
            with m.State("REQUEST"):
                m.d.comb += [self.request.valid.eq(~kept), self.kept_request.valid.eq(kept)]
                with m.If(Mux(kept, self.kept_request.ready, self.request.ready)):
                    m.d.sync += [addr.eq(addr + stride), left.eq(left - 1)]
                    m.next = "CHECK"
                    with m.If(last):
                        m.next = "WAIT"
            with m.State("HALT"):
                m.d.comb += halted.eq(1)
        return asking

    def _write(self, m: Module, asked: Fifo) -> Signal:
        """Fill, data and fill again into the banks, or data into the weight memory or a residual row."""
        preset = self.preset
        row_layout, bulk_layout = layout(Opcode.LOAD_FEATURES), layout(Opcode.LOAD_WEIGHTS)
        row = data.View(row_layout, Signal(row_layout.size, name="row"))
        planes, base, columns = Signal(10), Signal(16), Signal(12)
        local = [Signal(signed(COLUMN_BITS + 1), name=f"local_{p}") for p in range(preset.pixels)]
        step, done, second, writing = Signal(), Signal(), Signal(), Signal()
        room = Signal(range(preset.row_slots + 1), init=preset.row_slots)
        slot, arrives = Signal(range(preset.row_slots)), Signal()
        beats, beat, word = Signal(COUNT_BITS), Signal(range(preset.weight_beats)), Signal(16)
        taken = data.View(bulk_layout, asked.o.payload[8 : 8 + bulk_layout.size])
        pixel = Signal(8 * preset.channels)
        m.d.comb += [
            pixel.eq(Mux(row.kept, self.kept_data.payload, self.data.payload.data)),
            self.bank_data.eq(self._fold(m, pixel, step, row.fold)),
            arrives.eq(Mux(row.kept, self.kept_data.valid, self.data.valid)),
            self.residual_addr.eq(slot * preset.row_words + local[0][: preset.row_words.bit_length() - 1]),
            self.residual_write.eq(step & row.residual),
            self.residual_ready.eq(done & row.residual),
        ]
        with m.If(self.residual_ready):
            m.d.sync += slot.eq(slot + 1)
        with m.If(self.residual_ready & ~self.residual_freed):
            m.d.sync += room.eq(room - 1)
        with m.Elif(~self.residual_ready & self.residual_freed):
            m.d.sync += room.eq(room + 1)

        def start_plane() -> None:
            start: Value = Array([0, *(1 - preset.channels // size for size in preset.fold_bytes)])[row.fold]
            for each in local:
                m.d.sync += each.eq(start)
                start = (start - row.lane_step)[: COLUMN_BITS + 1]
            m.d.sync += [columns.eq(row.columns), second.eq(row.skip)]

        for p in range(preset.pixels):
            m.d.comb += [
                self.bank_addr[p].eq(
                    wrapped((base + local[p])[:16], row.base, row.share, depth=preset.feature_words)
                ),
                self.bank_write[p].eq(step & ~row.residual & (local[p] >= 0) & (local[p] < row.window)),
            ]
        with m.If(step):
            m.d.sync += [each.eq(each + 1) for each in local]
        left = Signal(12)
        with m.FSM() as fsm:
            m.d.comb += writing.eq(~fsm.ongoing("TAKE"))
            with m.State("TAKE"):
                m.d.comb += asked.o.ready.eq(1)
                m.d.sync += row.as_value().eq(asked.o.payload[8 : 8 + row_layout.size])
                with m.If(asked.o.valid):
                    m.next = "BEGIN"
                    with m.If(asked.o.payload[:8] == Opcode.LOAD_WEIGHTS):
                        m.next = "BULK"
                        m.d.sync += [beats.eq(taken.beats), beat.eq(0), word.eq(taken.base)]
                        m.d.sync += [each.eq(0) for each in (row.fold, row.kept, row.residual)]
            with m.State("BULK"):
                m.d.comb += [
                    self.data.ready.eq(1),
                    self.weight_write.eq(self.data.valid << beat),
                    self.weight_addr.eq(word),
                ]
                with m.If(self.data.valid):
                    m.d.sync += [beats.eq(beats - 1), beat.eq(beat + 1)]
                    with m.If(beat == preset.weight_beats - 1):
                        m.d.sync += [beat.eq(0), word.eq(word + 1)]
                    with m.If(beats == 1):
                        m.d.comb += done.eq(1)
                        m.next = "TAKE"
            with m.State("BEGIN"):
                m.d.sync += [planes.eq(row.last_plane), base.eq(row.base)]
                start_plane()
                m.d.sync += left.eq(row.left)
                with m.If(~row.residual | (room != 0)):
                    m.next = "LEFT"
            with m.State("LEFT"):
                m.d.comb += pixel.eq(row.fill.replicate(preset.channels))
                with m.If(left != 0):
                    m.d.comb += step.eq(1)
                    m.d.sync += left.eq(left - 1)
                with m.If((left <= 1) & (columns == 0)):
                    m.d.sync += left.eq(row.right)
                    m.next = "RIGHT"
                with m.Elif(left <= 1):
                    m.next = "DATA"
            with m.State("DATA"), m.If(arrives):
                takes = ~row.twice | second | (columns == 1)
                m.d.comb += [
                    step.eq(1),
                    self.data.ready.eq(takes & ~row.kept),
                    self.kept_data.ready.eq(takes & row.kept),
                ]
                m.d.sync += [columns.eq(columns - 1), second.eq(~second)]
                with m.If(columns == 1):
                    m.d.sync += left.eq(row.right)
                    m.next = "RIGHT"
            with m.State("RIGHT"):
                m.d.comb += pixel.eq(row.fill.replicate(preset.channels))
                with m.If(left != 0):
                    m.d.comb += step.eq(1)
                    m.d.sync += left.eq(left - 1)
                with m.If(left <= 1):
                    start_plane()
                    m.d.sync += [planes.eq(planes - 1), base.eq(base + row.plane_step), left.eq(row.left)]
                    m.next = "LEFT"
                    with m.If(planes == 0):
                        m.d.comb += done.eq(1)
                        m.next = "TAKE"
        with m.If(done):
            m.d.sync += self.complete.eq(self.complete + 1)
        return writing

    def _fold(self, m: Module, pixel: Value, step: Value, fold: Value) -> Value:
        """The word that `pixel` completes: itself, or low bytes of those before it with its own on top."""
        lanes, sizes = self.preset.channels, self.preset.fold_bytes
        newest_first = [pixel]
        for age in range(1, lanes // min(sizes)):
            width = 8 * max(size for size in sizes if age < lanes // size)
            before = Signal(width, name=f"pixel_{age}", reset_less=True)
            with m.If(step):
                m.d.sync += before.eq(newest_first[-1])
            newest_first.append(before)
        words = [Cat(each[: 8 * size] for each in newest_first[lanes // size - 1 :: -1]) for size in sizes]
        return Array([pixel, *words])[fold]
