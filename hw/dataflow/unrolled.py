"""A whole network as constant logic: every weight is wiring, a zero weight is nothing, a vector a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.compressor_heap import CompressorHeap, popcount_heap
from hw.arith.shared_sums import share
from models.program.mlp import Layer, layers_of
from models.program.program import Program

__all__ = ["UnrolledPipeline"]

#: Activations this narrow are summed bit by bit in heaps of counters; wider ones in trees of shared adders.
HEAP_INPUT_BITS = 2


@dataclass(frozen=True, eq=False)
class _Number:
    """A value of the network on its way: its exact range, and the level of logic that it has come to."""

    value: Value
    low: int
    high: int
    level: int

    @property
    def bits(self) -> int:
        return Shape.cast(range(self.low, self.high + 1)).width


class _Levels:
    """Logic in levels with a register after every `period` of them; what arrives early is delayed."""

    def __init__(self, m: Module, *, step: Value, period: int):
        self._m, self._step, self._period = m, step, period
        self._delayed: dict[tuple[int, int], Value] = {}

    def cycle(self, level: int) -> int:
        return level // self._period

    def full(self, level: int) -> int:
        """The first level from `level` on that has a register."""
        return -(-level // self._period) * self._period

    def at(self, number: _Number, cycle: int) -> Value:
        """The number as it was `cycle` registers after the input."""
        value = number.value
        for now in range(self.cycle(number.level), cycle):
            key = id(number), now
            if key not in self._delayed:
                later = Signal.like(value)
                with self._m.If(self._step):
                    self._m.d.sync += later.eq(value)
                self._delayed[key] = later
                self._kept = [*getattr(self, "_kept", []), number]  # an id names what is alive
            value = self._delayed[key]
        return value

    def operand_cycle(self, level: int) -> int:
        """Where the operands of logic of this level must be."""
        return self.cycle(level) - (level % self._period == 0)

    def result(self, value: Value, low: int, high: int, level: int) -> _Number:
        # `keep` stops yosys from melting adders into one sum, which costs it more than they do.
        out = Signal(range(low, high + 1), attrs={"keep": 1})
        if level % self._period:
            self._m.d.comb += out.eq(value)
        else:
            with self._m.If(self._step):
                self._m.d.sync += out.eq(value)
        return _Number(out, low, high, level)

    def add(self, first: _Number, second: _Number, *, sign: int = 1) -> _Number:
        level = max(first.level, second.level) + 1
        cycle = self.operand_cycle(level)
        one, other = self.at(first, cycle), self.at(second, cycle)
        if sign > 0:
            return self.result(one + other, first.low + second.low, first.high + second.high, level)
        return self.result(one - other, first.low - second.high, first.high - second.low, level)


class UnrolledPipeline(wiring.Component):
    """The network of `program` with its weights built in; ternary weights alone.

    `i` takes a whole input vector, counted from zero: the least value of the quantiser is 0. `o` gives a
    decision as `ArgMax` does, with widths for exactly these weights.

    Latency `latency_cycles`, initiation interval 1 cycle. Full back-pressure: a stall stops everything.
    """

    INTERVAL_CYCLES = 1

    def __init__(self, *, program: Program, adders_per_cycle: int = 1):
        """`adders_per_cycle`: levels of adders between two registers."""
        if adders_per_cycle < 1:
            raise ValueError(f"adders_per_cycle must be at least 1, not {adders_per_cycle!r}")
        self._layers = layers_of(program)
        for layer in self._layers:
            if layer.weight_max > 1:
                raise ValueError(
                    f"layer {layer.name!r} has weights up to {layer.weight_max}, and unrolled stages take "
                    "ternary ones; train it with narrow 2-bit weights, or fold it"
                )
        self._period = adders_per_cycle
        first, last = self._layers[0], self._layers[-1]
        self.input_bits = first.input_max.bit_length()
        low, high = last.range
        margin = high - low
        super().__init__(
            {
                "i": In(stream.Signature(data.ArrayLayout(self.input_bits, first.inputs))),
                "o": Out(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "class_index": range(last.outputs),
                                "score": Shape.cast(range(-margin, margin + 1)),
                                "logits": data.ArrayLayout(Shape.cast(range(low, high + 1)), last.outputs),
                            }
                        )
                    )
                ),
            }
        )
        # Built at once, because only the finished logic knows its latency.
        self._module = Module()
        self.latency_cycles = self._build(self._module)

    def elaborate(self, platform) -> Module:
        return self._module

    def _build(self, m: Module) -> int:
        step = Signal()
        m.d.comb += [step.eq(~self.o.valid | self.o.ready), self.i.ready.eq(step)]
        levels = _Levels(m, step=step, period=self._period)
        inputs = [_Number(value, 0, self._layers[0].input_max, 0) for value in self.i.payload]
        for layer in self._layers[:-1]:
            sums = self._sums(m, levels, layer, inputs)
            inputs = [
                self._activation(m, levels, one, thresholds)
                for one, thresholds in zip(sums, layer.thresholds.tolist(), strict=True)
            ]
        latency = self._decide(m, levels, self._sums(m, levels, self._layers[-1], inputs))
        valids = Signal(latency)
        with m.If(step):
            m.d.sync += valids.eq((valids << 1) | self.i.valid)
        m.d.comb += self.o.valid.eq(valids[-1])
        return latency

    def _sums(
        self, m: Module, levels: _Levels, layer: Layer, inputs: Sequence[_Number]
    ) -> list[_Number | int]:
        if layer.input_max.bit_length() <= HEAP_INPUT_BITS:
            return [
                self._heap(m, levels, row, bias, inputs)
                for row, bias in zip(layer.weights.tolist(), layer.bias.tolist(), strict=True)
            ]
        plan = share(layer.weights.tolist(), depth_max=2)
        terms = list(inputs)
        for pair in plan.pairs:
            terms.append(levels.add(terms[pair.first], terms[pair.second], sign=pair.sign))
        return [
            self._tree(levels, [(terms[term], sign) for term, sign in one], bias)
            for one, bias in zip(plan.sums, layer.bias.tolist(), strict=True)
        ]

    def _tree(self, levels: _Levels, terms: list[tuple[_Number, int]], bias: int) -> _Number | int:
        """Add the earliest and narrowest first; subtract once, the sum of all that is to be."""
        if not terms:
            return bias
        order = [(number.level, number.bits, at, number, sign) for at, (number, sign) in enumerate(terms)]
        if bias:
            order.append((0, bias.bit_length(), len(order), _Number(Const(bias), bias, bias, 0), 1))
        heapify(order)
        at = len(order)
        while len(order) > 1:
            *_, one, one_sign = heappop(order)
            *_, other, other_sign = heappop(order)
            if one_sign < other_sign:
                one, one_sign, other, other_sign = other, other_sign, one, one_sign
            total = levels.add(one, other, sign=one_sign * other_sign)
            heappush(order, (total.level, total.bits, at, total, one_sign))
            at += 1
        *_, total, sign = order[0]
        if sign > 0:
            return total
        return levels.add(_Number(Const(0), 0, 0, 0), total, sign=-1)

    def _heap(
        self, m: Module, levels: _Levels, row: Sequence[int], bias: int, inputs: Sequence[_Number]
    ) -> _Number | int:
        used = [(number, weight) for number, weight in zip(inputs, row, strict=True) if weight]
        if not used:
            return bias
        level = levels.full(max(number.level for number, _ in used) + 1)
        low = bias + sum(number.high * min(weight, 0) for number, weight in used)
        high = bias + sum(number.high * max(weight, 0) for number, weight in used)
        heap = CompressorHeap(m, bits=Shape.cast(range(low, high + 1)).width)
        heap.add_constant(bias)
        for number, weight in used:
            bits = levels.at(number, levels.operand_cycle(level))
            for place, bit in enumerate(bits):
                (heap.add_bit if weight > 0 else heap.subtract_bit)(bit, weight=place)
        total = heap.total()
        return levels.result(total.as_signed() if low < 0 else total, low, high, level)

    def _activation(
        self, m: Module, levels: _Levels, total: _Number | int, thresholds: Sequence[int]
    ) -> _Number:
        most = len(thresholds)
        if isinstance(total, int):
            count = sum(total >= threshold for threshold in thresholds)
            return _Number(Const(count, most.bit_length()), count, count, 0)
        level = levels.full(total.level + 1)
        value = levels.at(total, levels.operand_cycle(level))
        reached = Signal(most)
        m.d.comb += [reached[at].eq(value >= threshold) for at, threshold in enumerate(thresholds)]
        return levels.result(popcount_heap(m, reached), 0, most, level)

    def _decide(self, m: Module, levels: _Levels, sums: Sequence[_Number | int]) -> int:
        """Two registers: the greatest attack and its index; then the margin over the first class."""
        logits = [
            _Number(Const(one, Shape.cast(range(min(one, 0), max(one, 0) + 1))), one, one, 0)
            if isinstance(one, int)
            else one
            for one in sums
        ]
        low, high = self._layers[-1].range
        level = levels.full(max(one.level for one in logits) + 1)
        cycle = levels.operand_cycle(level)
        values = [levels.at(one, cycle) for one in logits]
        best, index = values[1], Const(1)
        for at, value in enumerate(values[2:], start=2):
            better = value > best
            best, index = Mux(better, value, best), Mux(better, at, index)
        best_number = levels.result(best, low, high, level)
        index_number = levels.result(index, 0, len(logits) - 1, level)
        done = levels.full(level + 1)
        cycle = levels.operand_cycle(done)
        margin = levels.at(best_number, cycle) - levels.at(logits[0], cycle)
        score = levels.result(margin, low - high, high - low, done)
        chosen = levels.result(Mux(margin > 0, levels.at(index_number, cycle), 0), 0, len(logits) - 1, done)
        m.d.comb += [self.o.payload.score.eq(score.value), self.o.payload.class_index.eq(chosen.value)]
        m.d.comb += [
            self.o.payload.logits[at].eq(levels.at(one, levels.cycle(done))) for at, one in enumerate(logits)
        ]
        return levels.cycle(done)
