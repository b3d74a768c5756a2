"""Sums to activations: how many of a unit's thresholds its sum has reached."""

from collections.abc import Iterable, Sequence

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.compressor_heap import popcount_heap
from hw.dataflow.bank_memory import BankMemory, LoadSignature
from models.program.pipeline_shape import Bank

__all__ = ["Threshold"]


class Threshold(wiring.Component):
    """Compare `lanes` sums a beat with `levels` thresholds each, and count those that are reached.

    The thresholds of the units, `lanes` units a row, are in a bank; beats come in the order of the rows,
    and after the last row the first follows. All thresholds of a beat are compared at once, which for the
    three of a 2-bit activation is about as much logic as the control of a search.

    Latency 2 cycles, initiation interval 1 cycle, full back-pressure.
    """

    LATENCY_CYCLES = 2
    INTERVAL_CYCLES = 1

    def __init__(
        self,
        *,
        sum_bits: int,
        sum_signed: bool,
        threshold_bits: int,
        lanes: int,
        levels: int,
        banks: Sequence[Bank],
        bank: str,
        rows: Sequence[int] | None = None,
    ):
        self._sum_shape = signed(sum_bits) if sum_signed else sum_bits
        self._threshold_shape = signed(threshold_bits) if sum_signed else threshold_bits
        self.lanes, self.levels = lanes, levels
        self.memory = BankMemory(banks=banks, name=bank, rows=rows)
        super().__init__(
            {
                "i": In(stream.Signature(data.ArrayLayout(self._sum_shape, lanes))),
                "o": Out(stream.Signature(data.ArrayLayout(levels.bit_length(), lanes))),
                "load": In(LoadSignature(banks)),
            }
        )

    @staticmethod
    def compute(sums: Iterable[int], thresholds: Sequence[Sequence[int]]) -> list[int]:
        """The golden twin: one activation for each sum, units in turn."""
        return [
            sum(total >= threshold for threshold in thresholds[at % len(thresholds)])
            for at, total in enumerate(sums)
        ]

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.memory = memory = self.memory
        wiring.connect(m, memory.load, wiring.flipped(self.load))
        row = Signal(range(max(2, memory.bank.depth)))
        held = Signal.like(self.i.payload)
        holds = Signal()
        thresholds = data.ArrayLayout(data.ArrayLayout(self._threshold_shape, self.levels), self.lanes)
        against = data.View(thresholds, memory.data)

        free = Signal()  # the output register takes what is held
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(~holds | free),
            memory.address.eq(row),
            memory.enable.eq(self.i.valid & self.i.ready),
        ]
        with m.If(free):
            m.d.sync += [self.o.valid.eq(holds), holds.eq(0)]
            for lane in range(self.lanes):
                reached = Signal(self.levels)
                m.d.comb += [
                    reached[level].eq(held[lane] >= against[lane][level]) for level in range(self.levels)
                ]
                m.d.sync += self.o.payload[lane].eq(popcount_heap(m, reached))
        with m.If(memory.enable):
            m.d.sync += [holds.eq(1), held.eq(self.i.payload), row.eq(row + 1)]
            with m.If(row == memory.bank.depth - 1):
                m.d.sync += row.eq(0)
        return m
