"""The heap against Python's own addition, on every shape that a layer can give it."""

import random

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from hw.arith.compressor_heap import CompressorHeap, popcount_heap


def settle(m: Module, source: Signal, results: list, values: list[int]) -> list[tuple[int, ...]]:
    seen = []

    async def bench(ctx):
        for value in values:
            ctx.set(source, value)
            await ctx.delay(1e-9)
            seen.append(tuple(ctx.get(result) for result in results))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 6, 7, 12, 36, 37, 75])
def test_popcount(bits):
    rng = random.Random(bits)
    m = Module()
    source = Signal(bits)
    count = popcount_heap(m, source)
    values = [0, (1 << bits) - 1] + [rng.getrandbits(bits) for _ in range(30)]
    assert settle(m, source, [count], values) == [(value.bit_count(),) for value in values]


@pytest.mark.parametrize("seed", range(12))
def test_mixed_weights_signs_and_constants(seed):
    rng = random.Random(seed)
    terms = [(rng.randrange(4), rng.choice((1, -1))) for _ in range(rng.randrange(1, 60))]
    constant = rng.randrange(-50, 50)
    bits = 12
    m = Module()
    source = Signal(len(terms))
    heap = CompressorHeap(m, bits=bits)
    for bit, (weight, sign) in zip(source, terms, strict=True):
        (heap.add_bit if sign > 0 else heap.subtract_bit)(bit, weight=weight)
    heap.add_constant(constant)
    total = Signal(signed(bits))
    m.d.comb += total.eq(heap.total())
    values = [0, (1 << len(terms)) - 1] + [rng.getrandbits(len(terms)) for _ in range(30)]
    expected = [
        (constant + sum(sign * (value >> i & 1) << weight for i, (weight, sign) in enumerate(terms)),)
        for value in values
    ]
    assert settle(m, source, [total], values) == expected


def test_a_width_of_nothing_is_refused():
    with pytest.raises(ValueError, match="bits must be at least 1, the width of the sum, not 0"):
        CompressorHeap(Module(), bits=0)
