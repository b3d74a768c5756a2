import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.can.destuff import Destuffer, StuffError, destuff
from sim.can_bus import stuff


def frame_body(rng, length):
    """Bits of a frame from its start on, long runs more likely than by chance."""
    return [0, *np.repeat(rng.integers(2, size=length), rng.integers(1, 9, size=length)).tolist()]


def test_golden_undoes_stuffing():
    rng = np.random.default_rng(1)
    for length in range(1, 40):
        body = frame_body(rng, length)
        assert destuff(stuff(body)) == body


def test_golden_refuses_a_sixth_equal_bit():
    with pytest.raises(StuffError, match="bit 6 is the sixth 0 in a row"):
        destuff([1, 0, 0, 0, 0, 0, 0])


def run(sent, stuffed):
    """Per sampled bit: passed on, or error."""
    dut = Destuffer()
    valid, error = [], []

    async def bench(ctx):
        # Idle before the frame, as on the bus.
        for bit, in_stuffed in [(1, False)] * 8 + list(zip(sent, stuffed, strict=True)):
            ctx.set(dut.bit, bit)
            ctx.set(dut.stuffed, in_stuffed)
            ctx.set(dut.sample, 0)
            assert not ctx.get(dut.valid)
            assert not ctx.get(dut.error)
            await ctx.tick()
            ctx.set(dut.sample, 1)
            valid.append(ctx.get(dut.valid))
            error.append(ctx.get(dut.error))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert all(valid[:8])
    return valid[8:], error[8:]


def test_gateware_is_the_golden():
    rng = np.random.default_rng(2)
    body = frame_body(rng, 150)
    sent = stuff(body)
    valid, error = run(sent, [False] + [True] * (len(sent) - 1))
    assert [bit for bit, passed in zip(sent, valid, strict=True) if passed] == destuff(sent) == body
    assert not any(error)


@pytest.mark.parametrize("level", [0, 1])
def test_gateware_reports_the_sixth_equal_bit(level):
    sent = [0, 1 - level, *[level] * 6]
    _, error = run(sent, [False] + [True] * 7)
    assert error == [False] * 7 + [True]


def test_the_stuff_bit_due_after_the_last_stuffed_bit_is_dropped_and_no_other():
    # Five equal bits end the CRC; then their stuff bit and the unstuffed end of the frame.
    sent = [0, 1, *[0] * 5, 1, *[1] * 12]
    valid, error = run(sent, [False] + [True] * 6 + [False] * 13)
    assert valid == [True] * 7 + [False] + [True] * 12
    assert not any(error)
