import numpy as np
from amaranth.sim import Simulator

from hw.can.crc15 import Crc15, crc15
from sim.can_bus import crc_bits


def test_golden_is_the_division_of_the_standard():
    rng = np.random.default_rng(1)
    for length in [*range(1, 40), 83, 103]:
        bits = rng.integers(2, size=length).tolist()
        rest = crc_bits(bits)
        assert crc15(bits) == int("".join(map(str, rest)), 2)
        assert crc15([*bits, *rest]) == 0


def test_gateware_is_the_golden_and_matches_at_the_last_bit_alone():
    rng = np.random.default_rng(2)
    dut = Crc15()

    async def bench(ctx):
        for length in (1, 19, 83):
            bits = rng.integers(2, size=length).tolist()
            bits[0] = 1  # zeros alone would match from the start
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            sent = [*bits, *crc_bits(bits)]
            for count, bit in enumerate(sent, start=1):
                # A cycle without a bit in between changes nothing.
                ctx.set(dut.valid, 0)
                ctx.set(dut.bit, 1 - bit)
                await ctx.tick()
                ctx.set(dut.valid, 1)
                ctx.set(dut.bit, bit)
                assert ctx.get(dut.matches) == (crc15(sent[:count]) == 0)
                await ctx.tick()
                ctx.set(dut.valid, 0)
                assert ctx.get(dut.state) == crc15(sent[:count])
            assert crc15(sent) == 0

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
