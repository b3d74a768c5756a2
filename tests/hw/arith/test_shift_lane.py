import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.arith.shift_lane import EXPONENT_MAX, ShiftArray, codes, missing_ones, split_terms

CYCLES = 60


def test_every_byte_is_the_sum_of_its_terms():
    weights = np.arange(-255, 256)
    terms = split_terms(weights)
    assert (terms.sum(axis=0) == weights).all()
    sizes = np.abs(terms[terms != 0])
    assert set(sizes) <= {1 << exponent for exponent in range(EXPONENT_MAX + 1)}


def test_one_power_of_two_is_one_term_and_two_are_two():
    single = np.array([0, 1, -2, 64, -64])
    assert len(split_terms(single)) == 1
    assert len(split_terms(np.array([3, -96, 65, 7]))) == 2
    assert missing_ones(split_terms(single)) == 2


@pytest.mark.parametrize(("pixels", "channels"), [(2, 8), (1, 16)])
def test_sums_are_those_of_the_golden_twin(pixels, channels):
    rng = np.random.default_rng(channels)
    unit = ShiftArray(pixels=pixels, channels=channels)
    x = rng.integers(0, 256, (CYCLES, pixels, channels))
    terms = (1 << rng.integers(0, 7, (CYCLES, channels, channels))) * rng.choice(
        [-1, 0, 1], (CYCLES, channels, channels)
    )
    x[0], terms[0] = 255, -64  # the extremes
    x[1], terms[1] = 255, 64
    found = []

    async def bench(ctx):
        for cycle in range(CYCLES + unit.latency_cycles):
            if cycle < CYCLES:
                packed = sum(int(v) << 8 * n for n, v in enumerate(x[cycle].reshape(-1)))
                ctx.set(unit.x.as_value(), packed)
                ctx.set(
                    unit.w.as_value(),
                    sum(int(v) << 4 * n for n, v in enumerate(codes(terms[cycle]).reshape(-1))),
                )
            if cycle >= unit.latency_cycles:
                found.append([[ctx.get(unit.sums[p][o]) for o in range(channels)] for p in range(pixels)])
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert (np.array(found) == [ShiftArray.compute(a, b) for a, b in zip(x, terms, strict=True)]).all()
