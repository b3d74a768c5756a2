import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.arith.shift_lane import ShiftArray, codes, excess
from models.program.digits import DIGITS

CYCLES = 60


def test_excess_counts_negative_digits():
    digits = np.array([[1, -2, 0], [-4, -1, 4]])
    assert excess(digits, axis=1).tolist() == [1023, 2046]


@pytest.mark.parametrize(("pixels", "channels"), [(2, 8), (1, 16)])
def test_sums_are_those_of_the_golden_twin(pixels, channels):
    rng = np.random.default_rng(channels)
    unit = ShiftArray(pixels=pixels, channels=channels)
    x = rng.integers(0, 256, (CYCLES, pixels, channels, channels))
    digits = rng.choice(DIGITS, (CYCLES, channels, channels))
    x[0], digits[0] = 255, -4  # the extremes
    x[1], digits[1] = 0, -4
    x[2], digits[2] = 255, 4
    found = []

    async def bench(ctx):
        for cycle in range(CYCLES + unit.latency_cycles):
            if cycle < CYCLES:
                packed = sum(int(v) << 8 * n for n, v in enumerate(x[cycle].reshape(-1)))
                ctx.set(unit.x.as_value(), packed)
                ctx.set(
                    unit.w.as_value(),
                    sum(int(v) << 3 * n for n, v in enumerate(codes(digits[cycle]).reshape(-1))),
                )
            if cycle >= unit.latency_cycles:
                found.append([[ctx.get(unit.sums[p][o]) for o in range(channels)] for p in range(pixels)])
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert (np.array(found) == [ShiftArray.compute(a, b) for a, b in zip(x, digits, strict=True)]).all()
