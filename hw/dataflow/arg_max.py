"""The last sums of a network to a verdict: logits, the class they argue for, and by how much."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.dataflow.bank_memory import BankMemory, LoadSignature
from models.program.pipeline_shape import Bank, LayerShape

__all__ = ["ArgMax", "decision_layout"]


def decision_layout(shape: LayerShape) -> data.StructLayout:
    """`score` is the greatest logit but the first, less the first: positive where `class_index` is not 0."""
    return data.StructLayout(
        {
            "class_index": range(shape.outputs),
            "score": signed(shape.logit_bits + 1),
            "logits": data.ArrayLayout(signed(shape.logit_bits), shape.outputs),
        }
    )


class ArgMax(wiring.Component):
    """Add the bias to each sum and compare, one class a cycle; of equal logits the lowest index wins.

    Latency `latency_cycles(classes)` from the beat that holds all sums; the next is taken once the decision
    was. Full back-pressure, no combinational path from one stream to the other.
    """

    def __init__(
        self, *, shape: LayerShape, banks: Sequence[Bank], bank: str, rows: Sequence[int] | None = None
    ):
        self._shape = shape
        self.memory = BankMemory(banks=banks, name=bank, rows=rows)
        super().__init__(
            {
                "i": In(stream.Signature(data.ArrayLayout(shape.sum_bits, shape.outputs))),
                "o": Out(stream.Signature(decision_layout(shape))),
                "load": In(LoadSignature(banks)),
            }
        )

    @staticmethod
    def latency_cycles(classes: int) -> int:
        return classes + 3

    @staticmethod
    def compute(logits: Sequence[int]) -> dict:
        """The golden twin."""
        score = max(logits[1:]) - logits[0]
        index = 1 + list(logits[1:]).index(max(logits[1:])) if score > 0 else 0
        return {"class_index": index, "score": score, "logits": list(logits)}

    def elaborate(self, platform) -> Module:
        m = Module()
        classes, bits = self._shape.outputs, self._shape.logit_bits
        m.submodules.memory = memory = self.memory
        wiring.connect(m, memory.load, wiring.flipped(self.load))
        # The logits go round: the head gets its bias and joins at the end, and is compared a cycle later.
        ring = Signal(data.ArrayLayout(signed(bits), classes))
        busy = Signal()
        step = Signal(range(classes + 2))  # the class at the head; then the first is there again, and stays
        head = Signal(signed(bits))
        newest = ring[classes - 1]
        best = Signal(signed(bits))
        best_index = Signal(range(classes))

        m.d.comb += [
            self.i.ready.eq(~busy & ~self.o.valid),
            memory.enable.eq(1),
            memory.address.eq(Mux(busy, step + 1, 0)),
            head.eq(ring[0] + memory.data),
            self.o.payload.logits.eq(ring),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [busy.eq(1), step.eq(0)]
            m.d.sync += [ring[lane].eq(self.i.payload[lane]) for lane in range(classes)]
        with m.If(busy):
            m.d.sync += step.eq(step + 1)
            with m.If(step == classes + 1):
                margin = Signal(signed(bits + 1))
                m.d.comb += margin.eq(best - ring[0])
                m.d.sync += [
                    self.o.payload.score.eq(margin),
                    self.o.payload.class_index.eq(Mux(margin > 0, best_index, 0)),
                    self.o.valid.eq(1),
                    busy.eq(0),
                ]
            with m.Elif((step == 2) | (newest > best)):
                m.d.sync += [best.eq(newest), best_index.eq(step - 1)]
            with m.If(step < classes):
                m.d.sync += Value.cast(ring).eq(Cat(Value.cast(ring)[bits:], head))
        return m
