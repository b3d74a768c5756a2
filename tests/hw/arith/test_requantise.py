import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.arith.requantise import SHIFT_MAX, Requantise

BITS = 26


def test_rounding_is_half_to_even_and_raw_is_a_byte_of_the_floor():
    assert [Requantise.compute(x, 0, 1, 0, 255) for x in (1, 3, 5, 7)] == [0, 2, 2, 4]
    assert Requantise.compute(-300, 0, 0, 5, 250) == 5
    assert Requantise.compute(-2, 0, 8, 0, 255, raw=True) == 255


def test_gateware_does_as_its_golden_twin():
    rng = np.random.default_rng(1)
    unit = Requantise(bits=BITS)
    cases = []
    for index in range(400):
        shift = int(rng.integers(0, SHIFT_MAX + 1))
        span = 1 << int(rng.integers(1, BITS - 1))
        x, bias = (int(v) for v in rng.integers(-span // 2, span // 2, 2))
        if index % 3 == 0 and shift:
            x = ((x >> shift) << shift) + (1 << shift - 1) - bias  # halfway
        if not -(1 << BITS - 1) <= x + bias < 1 << BITS - 1 or abs(x) >= 1 << BITS - 1:
            continue
        low, high = sorted(int(v) for v in rng.integers(0, 256, 2))
        cases.append((x, bias, shift, low, high, bool(index % 7 == 0)))
    found = []

    async def bench(ctx):
        for x, bias, shift, low, high, raw in cases:
            for name, value in (
                ("x", x),
                ("bias", bias),
                ("shift", shift),
                ("low", low),
                ("high", high),
                ("raw", raw),
            ):
                ctx.set(getattr(unit, name), value)
            for _ in range(unit.LATENCY_CYCLES):
                await ctx.tick()
            found.append(ctx.get(unit.y))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    expected = [Requantise.compute(x, b, s, low, high, raw=raw) for x, b, s, low, high, raw in cases]
    assert len(cases) > 200
    assert found == expected


@pytest.mark.parametrize("bits", [15, 33])
def test_widths_whose_signs_would_be_lost_are_refused(bits):
    with pytest.raises(ValueError, match=rf"bits must be 16 to 32, .* not {bits}"):
        Requantise(bits=bits)
