"""A dense layer that a few lanes compute in turns, its weights in memory."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.compressor_heap import CompressorHeap
from hw.dataflow.bank_memory import BankMemory, LoadSignature
from models.program.pipeline_shape import Bank, LayerShape

__all__ = ["FoldedDense"]


class FoldedDense(wiring.Component):
    """`simd` activations times `pe` outputs a cycle; beats of `pe` sums leave in order.

    A vector comes as `shape.beats` beats, `shape.groups` times over (see RepeatBuffer). Sums are what the
    shape says: never negative, too large by a constant that depends on the weights (`LayerShape.offset`).

    Latency `LATENCY_CYCLES` from the last beat of an output. Initiation interval 1 cycle a beat, as long as
    the sums are taken within `shape.beats` cycles, or at once where that is 1. Full back-pressure.
    """

    LATENCY_CYCLES = 3

    def __init__(
        self,
        *,
        shape: LayerShape,
        banks: Sequence[Bank],
        bank: str,
        rows: Sequence[int] | None = None,
    ):
        self._shape = shape
        self.memory = BankMemory(banks=banks, name=bank, rows=rows)
        super().__init__(
            {
                "i": In(stream.Signature(data.ArrayLayout(shape.input_bits, shape.simd))),
                "o": Out(stream.Signature(data.ArrayLayout(shape.sum_bits, shape.pe))),
                "load": In(LoadSignature(banks)),
            }
        )

    @staticmethod
    def compute(weights: Sequence[Sequence[int]], activations: Sequence[int], shape: LayerShape) -> list[int]:
        """The golden twin: the sums of one vector, offsets included."""
        return [
            sum(weight * value for weight, value in zip(row, activations, strict=True))
            + shape.offset(list(row))
            for row in weights
        ]

    def elaborate(self, platform) -> Module:
        m = Module()
        shape = self._shape
        m.submodules.memory = memory = self.memory
        wiring.connect(m, memory.load, wiring.flipped(self.load))
        row = Signal(range(max(2, memory.bank.depth)))
        beat = Signal(range(max(2, shape.beats)))
        first, last = beat == 0, beat == shape.beats - 1

        # Three steps: weights read; products summed; sums accumulated, in the output register itself.
        step = Signal()  # everything moves, or nothing
        held = Signal.like(self.i.payload)
        held_valid, held_first, held_last = Signal(), Signal(), Signal()
        sum_valid, sum_first, sum_last = Signal(), Signal(), Signal()
        m.d.comb += [
            step.eq(~(self.o.valid & ~self.o.ready & sum_valid)),
            self.i.ready.eq(step),
            memory.address.eq(row),
            memory.enable.eq(self.i.valid & step),
        ]
        with m.If(memory.enable):
            m.d.sync += [held.eq(self.i.payload), held_first.eq(first), held_last.eq(last)]
            m.d.sync += [beat.eq(Mux(last, 0, beat + 1)), row.eq(row + 1)]
            with m.If(row == memory.bank.depth - 1):
                m.d.sync += row.eq(0)
        with m.If(step):
            m.d.sync += [held_valid.eq(self.i.valid), sum_valid.eq(held_valid)]
            m.d.sync += [sum_first.eq(held_first), sum_last.eq(held_last)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(step & sum_valid):
            m.d.sync += self.o.valid.eq(sum_last)
        lane_bits = shape.simd * shape.weight_bits
        for lane in range(shape.pe):
            products = self._products(m, held, memory.data.word_select(lane, lane_bits))
            total = Signal(len(products))
            with m.If(step):
                m.d.sync += total.eq(products)
            with m.If(step & sum_valid):
                m.d.sync += self.o.payload[lane].eq(Mux(sum_first, 0, self.o.payload[lane]) + total)
        return m

    def _products(self, m: Module, activations, weights: Value) -> Value:
        shape = self._shape
        most = shape.sum_max // shape.beats
        heap = CompressorHeap(m, bits=most.bit_length())
        for lane in range(shape.simd):
            weight = weights.word_select(lane, shape.weight_bits)
            for place, bit in enumerate(activations[lane]):
                if shape.weight_max == 1:
                    heap.add_bit((bit ^ weight[1]) & weight[0], weight=place)
                    continue
                for power in range(shape.weight_bits - 1):
                    heap.add_bit(bit & weight[power], weight=place + power)
                heap.add_bit(~(bit & weight[-1]), weight=place + shape.weight_bits - 1)
        return heap.total()
