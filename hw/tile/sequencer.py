"""The loops of the engine: which words of features and weights are read in each cycle, and why not."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.tile.instruction import BITS, Opcode, layout
from hw.tile.loader import COUNT_BITS
from hw.tile.parts import wrapped
from hw.tile.preset import Preset
from hw.tile.window import WindowLoops

__all__ = ["BEAT", "CONFIG", "Sequencer"]

#: What goes along with the words read: `first` and `last` of a sum, of a row, and of an instruction.
#: The first beat of each pass but the first `scales` what was summed before. In windowed layers, the word
#: read `slides` into the window, which it or a later beat `closes`; `upper`: of taps beyond the lanes.
BEAT = data.StructLayout(
    {
        "valid": 1,
        "biases": 1,
        "first": 1,
        "scales": 1,
        "last": 1,
        "row_first": 1,
        "row_last": 1,
        "opens": 1,
        "windowed": 1,
        "slides": 1,
        "closes": 1,
        "upper": 1,
    }
)
#: What the results of an instruction need.
CONFIG = data.StructLayout({"low": 8, "high": 8, "raw": 1, "greatest": 1, "last_column": 10})


class Sequencer(wiring.Component):
    """Carry out COMPUTE: a beat a cycle over rows, columns, digits, kernel rows, kernel columns, blocks.

    One cycle an instruction goes to its biases. A beat is held back when its row has no slot, or when its
    sum would be complete before the last one's results have left, one pixel lane a cycle. `drain_cycles` is
    how long the results of a beat are on their way: the next biases must not overtake them. Of a windowed
    layer, words are read and windows multiplied side by side (`WindowLoops`): what holds one holds both.
    """

    def __init__(self, preset: Preset, *, drain_cycles: int):
        self.preset, self._drain_cycles = preset, drain_cycles
        super().__init__(
            {
                "i": In(stream.Signature(BITS)),
                "loaded": In(COUNT_BITS),
                "slot_freed": In(1),
                "feature_addr": Out(16),
                "weight_addr": Out(16),
                "beat": Out(BEAT),
                "config": Out(CONFIG),
                "complete": Out(COUNT_BITS),
                "layer": Out(1),
                "layer_index": Out(8),
                "layer_first": Out(1),
                "busy": Out(1),
                "waits_load": Out(1),
                "waits_store": Out(1),
                "waits_drain": Out(1),
                "start": In(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        op_layout = layout(Opcode.COMPUTE)
        head = data.View(op_layout, self.i.payload[8 : 8 + op_layout.size])
        over = data.View(layout(Opcode.LAYER), self.i.payload[8 : 8 + layout(Opcode.LAYER).size])
        op = data.View(op_layout, Signal(op_layout.size, name="op"))
        slots = Signal(range(self.preset.row_slots + 1), init=self.preset.row_slots)
        take_slot, issue, opened = Signal(), Signal(), Signal()
        # A cycle before it is used, or the comparison would lie between the queue's output and its enable.
        reached = Signal()
        m.d.sync += reached.eq(self.i.valid & ~self.i.ready & (self.loaded >= head.wait_load))
        since_open = Signal(range(self._drain_cycles + 1), init=self._drain_cycles)
        since_sum = Signal(range(self.preset.pixels + 1), init=self.preset.pixels - 1)
        loops = _Loops(m, op)
        window = WindowLoops(m, op, loops)
        sums, row_start, group_held = Signal(), Signal(), Signal()
        m.d.comb += [
            sums.eq(~op.windowed | window.multiplies),
            row_start.eq(sums & loops.sum_first & loops.at_column_0),
            group_held.eq(sums & loops.sum_last & (since_sum != self.preset.pixels - 1)),
        ]
        m.d.sync += self.beat.eq(0)

        with m.If(take_slot & ~self.slot_freed):
            m.d.sync += slots.eq(slots - 1)
        with m.Elif(~take_slot & self.slot_freed):
            m.d.sync += slots.eq(slots + 1)
        with m.If(since_open != self._drain_cycles):
            m.d.sync += since_open.eq(since_open + 1)
        with m.If(since_sum != self.preset.pixels - 1):
            m.d.sync += since_sum.eq(since_sum + 1)

        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("TAKE") & ~self.i.valid)
            with m.State("TAKE"), m.If(self.i.valid):
                with m.If(self.i.payload[:8] == Opcode.LAYER):
                    m.d.comb += [
                        self.i.ready.eq(1),
                        self.layer.eq(1),
                        self.layer_index.eq(over.index),
                        self.layer_first.eq(over.first),
                    ]
                with m.Elif(~reached):
                    m.d.comb += self.waits_load.eq(1)
                with m.Elif(since_open != self._drain_cycles):
                    m.d.comb += self.waits_drain.eq(1)
                with m.Else():
                    m.d.comb += self.i.ready.eq(1)
                    m.d.sync += [
                        op.as_value().eq(head.as_value()),
                        self.weight_addr.eq(head.weights),
                        self.beat.biases.eq(1),
                        opened.eq(0),
                    ]
                    m.d.sync += [
                        getattr(self.config, name).eq(getattr(head, name))
                        for name in ("low", "high", "raw", "greatest", "last_column")
                    ]
                    loops.start(head)
                    window.start(head)
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(row_start & (slots == 0)):
                    m.d.comb += self.waits_store.eq(1)
                with m.Elif(group_held):
                    m.d.comb += self.waits_drain.eq(1)
                with m.Else():
                    m.d.comb += [issue.eq(1), take_slot.eq(row_start), self.busy.eq(sums)]
                    m.d.sync += [
                        self.feature_addr.eq(
                            wrapped(
                                Mux(op.windowed, window.addr, loops.addr),
                                op.base,
                                op.share,
                                depth=self.preset.feature_words,
                            )
                        ),
                        self.weight_addr.eq(loops.weight),
                        self.beat.valid.eq(sums),
                        self.beat.first.eq(loops.sum_first),
                        self.beat.scales.eq(loops.pass_first & ~loops.sum_first),
                        self.beat.last.eq(loops.sum_last),
                        self.beat.row_first.eq(loops.at_column_0),
                        self.beat.row_last.eq(loops.at_last_column),
                        self.beat.opens.eq(~opened),
                        self.beat.windowed.eq(op.windowed),
                        self.beat.slides.eq(op.windowed & window.reads),
                        self.beat.closes.eq(op.windowed & window.ends),
                        self.beat.upper.eq(op.windowed & (loops.block != 0)),
                    ]
                    with m.If(op.windowed):
                        window.step()
                    with m.If(sums):
                        loops.step()
                    with m.If(sums & loops.sum_last):
                        m.d.sync += [since_sum.eq(0), opened.eq(1)]
                        with m.If(~opened):
                            m.d.sync += since_open.eq(0)
                    with m.If(sums & loops.all_last):
                        m.d.sync += self.complete.eq(self.complete + 1)
                        m.next = "TAKE"
        with m.If(self.start):
            m.d.sync += self.complete.eq(0)
        return m


class _Loops:
    """The nested counters and, for each level, the address at which it stands; taps of a window are one."""

    def __init__(self, m: Module, op):
        self._m, self._op = m, op
        self.digit, self.block = Signal(4), Signal(10)
        self.tap_x, self.tap_y = Signal(6), Signal(6)
        self.column, self.row = Signal(10), Signal(10)
        self.addr, self.weight = Signal(16, name="next_feature"), Signal(16, name="next_weight")
        self._at_tap, self._at_tap_row = Signal(16), Signal(16)
        self._at_column, self._at_row = Signal(16), Signal(16)
        ends = [
            self.block == op.last_block,
            op.windowed | (self.tap_x == op.last_tap_x),
            op.windowed | (self.tap_y == op.last_tap_y),
            self.digit == op.last_digit,
        ]
        self.pass_first, self.sum_first, self.sum_last = Signal(), Signal(), Signal()
        self.at_column_0, self.at_last_column, self.all_last = Signal(), Signal(), Signal()
        self._block_ends, self._x_ends, self._y_ends = ends[0], ends[1], ends[2]
        m.d.comb += [
            self.pass_first.eq((self.block == 0) & (self.tap_x == 0) & (self.tap_y == 0)),
            self.sum_first.eq(self.pass_first & (self.digit == 0)),
            self.sum_last.eq(ends[0] & ends[1] & ends[2] & ends[3]),
            self.at_column_0.eq(self.column == 0),
            self.at_last_column.eq(self.column == op.last_column),
            self.all_last.eq(self.sum_last & self.at_last_column & (self.row == op.last_row)),
        ]

    def start(self, head) -> None:
        m = self._m
        m.d.sync += [
            each.eq(0) for each in (self.digit, self.block, self.tap_x, self.tap_y, self.column, self.row)
        ]
        m.d.sync += [
            each.eq(head.base)
            for each in (self.addr, self._at_tap, self._at_tap_row, self._at_column, self._at_row)
        ]
        m.d.sync += self.weight.eq(head.weights + 1)

    def _go(self, target, *levels: Signal) -> None:
        self._m.d.sync += [each.eq(target) for each in (self.addr, *levels)]

    def step(self) -> None:
        """To the next beat."""
        m, op = self._m, self._op
        m.d.sync += [self.weight.eq(self.weight + 1), self.block.eq(self.block + 1)]
        self._go(self.addr + op.block_step)
        with m.If(self._block_ends):
            m.d.sync += [self.block.eq(0), self.tap_x.eq(self.tap_x + 1)]
            self._go(self._at_tap + 1, self._at_tap)
            with m.If(self._x_ends):
                m.d.sync += [self.tap_x.eq(0), self.tap_y.eq(self.tap_y + 1)]
                self._go(self._at_tap_row + op.tap_row_step, self._at_tap, self._at_tap_row)
                with m.If(self._y_ends):
                    m.d.sync += [self.tap_y.eq(0), self.digit.eq(self.digit + 1)]
                    self._go(self._at_column, self._at_tap, self._at_tap_row)
        with m.If(self.sum_last):
            m.d.sync += [self.digit.eq(0), self.column.eq(self.column + 1), self.weight.eq(op.weights + 1)]
            self._go(self._at_column + op.column_step, self._at_tap, self._at_tap_row, self._at_column)
            with m.If(self.at_last_column):
                m.d.sync += [self.column.eq(0), self.row.eq(self.row + 1)]
                self._go(
                    self._at_row + op.row_step, self._at_tap, self._at_tap_row, self._at_column, self._at_row
                )
