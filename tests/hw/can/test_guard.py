"""The guard on a line with the receiver, and a second node that must not accept what it destroys.

That it stays silent without its key, keeps flags short and keeps its budget is proven in sim/proofs for every
input; here it meets frames.
"""

import itertools

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.can.bit_timing import BitTiming
from hw.can.guard import FLAG_BITS, KEY, Guard
from sim.can_bus import BusFrame, Waveform, frame_bits, idle, receive
from sim.can_line import CanLine

TIMING = BitTiming.for_rate(100e6, 1e6)
BIT = TIMING.cycles_per_bit
ATTACK = BusFrame(identifier=0x316, dlc=8, data=bytes.fromhex("452924ff292400ff"))
BURST, INTERVAL_CYCLES = 4, 50_000
#: Recessive time before each frame.
LEAD_BITS = 20


@pytest.fixture(scope="module")
def built_line():
    with CanLine(TIMING, burst=BURST, interval_cycles=INTERVAL_CYCLES) as line:
        yield line


@pytest.fixture
def line(built_line):
    """A line whose guard has its whole budget."""
    built_line.restart(TIMING)
    built_line.play(np.ones(BURST * INTERVAL_CYCLES, np.uint8))
    return built_line


def play_attack(line, frame=ATTACK):
    """One frame; what the line heard, and the bits that a second node on the bus samples."""
    begun = line.cycles
    samples = Waveform(cycles_per_bit=BIT).send([*idle(LEAD_BITS), *frame_bits(frame), *idle(25)]).samples()
    heard = line.play(samples)
    bus = samples.copy()
    edges = [*heard.tx_edges, (begun + len(samples), 1)]
    for (cycle, level), (until, _) in itertools.pairwise(edges):
        if level == 0:
            bus[cycle - begun : until - begun] = 0
    return heard, bus[round(TIMING.sample_point * BIT) - 1 :: BIT].tolist()


def test_the_second_node_accepts_what_is_left_alone(line):
    heard, second_node = play_attack(line)
    assert heard.accepted == list(receive(second_node)) == [ATTACK]
    assert heard.tx_edges == []


@pytest.mark.parametrize("kill_delay", [1, 50, 100, 200, 400])
def test_a_condemned_frame_reaches_no_node(line, kill_delay):
    line.set(armed=True, kill_delay=kill_delay)
    heard, second_node = play_attack(line)
    assert heard.guard == {"killed": 1}
    assert heard.accepted == list(receive(second_node)) == []
    assert [name for _, name in heard.in_frame][-2:] == ["commit", "rejected"]
    (fell, _), (rose, _) = heard.tx_edges
    # Six bits; our own edge may stretch the first by the delay of the pin.
    assert FLAG_BITS * BIT <= rose - fell <= FLAG_BITS * BIT + 10
    before_last_bits = (LEAD_BITS + len(frame_bits(ATTACK)) - 2) * BIT
    assert fell - BURST * INTERVAL_CYCLES < before_last_bits
    # The bus is whole again afterwards.
    line.set(armed=False)
    heard, second_node = play_attack(line)
    assert heard.accepted == list(receive(second_node)) == [ATTACK]


def test_whenever_the_verdict_comes_the_frame_is_destroyed_or_untouched(line):
    outcomes = set()
    for kill_delay in range(1, 1023, 73):
        line.restart(TIMING)
        line.play(np.ones(INTERVAL_CYCLES, np.uint8))
        line.set(armed=True, kill_delay=kill_delay)
        heard, second_node = play_attack(line)
        (outcome,) = heard.guard
        outcomes.add(outcome)
        assert heard.accepted == list(receive(second_node)) == ([] if outcome == "killed" else [ATTACK])
        assert bool(heard.tx_edges) == (outcome == "killed")
    assert outcomes == {"killed", "too_late"}


def test_without_the_key_nothing_is_sent(line):
    line.set(armed=False, kill_delay=50)
    heard, second_node = play_attack(line)
    assert heard.tx_edges == []
    assert heard.guard == {}
    assert list(receive(second_node)) == [ATTACK]


def test_the_budget_then_the_lockout_then_the_key_again(line):
    line.set(armed=True, kill_delay=50)
    outcomes = [play_attack(line)[0].guard for _ in range(BURST + 3)]
    # A frame takes a third of an interval, so one more kill is earned on the way.
    kills = outcomes.index({"refused": 1})
    assert outcomes[:kills] == [{"killed": 1}] * kills
    assert BURST <= kills <= BURST + 1 + kills * 16_000 // INTERVAL_CYCLES
    assert outcomes[kills + 1 :] == [{}] * (BURST + 2 - kills)
    # Time alone does not unlock it.
    line.play(np.ones(BURST * INTERVAL_CYCLES, np.uint8))
    assert play_attack(line)[0].guard == {}
    line.set(armed=False)
    line.play(np.ones(10, np.uint8))
    line.set(armed=True, kill_delay=50)
    assert play_attack(line)[0].guard == {"killed": 1}


def test_a_reset_does_not_fill_the_budget(built_line):
    built_line.restart(TIMING)
    built_line.set(armed=True, kill_delay=50)
    heard, second_node = play_attack(built_line)
    assert heard.guard == {"refused": 1}
    assert list(receive(second_node)) == [ATTACK]


@pytest.mark.parametrize("key", [KEY ^ 1, KEY ^ 1 << 31, 0, 0xFFFFFFFF, KEY >> 8])
def test_only_the_exact_key_unlocks(key):
    guard = Guard(burst=1, interval_cycles=1)

    async def bench(ctx):
        ctx.set(guard.in_flight, 1)
        for word, unlocked in ((key, 0), (KEY, 1)):
            ctx.set(guard.key, word)
            await ctx.tick()
            assert ctx.get(guard.unlocked) == unlocked
            levels = []
            for cycle in range(40):
                ctx.set(guard.kill, cycle == 5)
                ctx.set(guard.bit_start, cycle % 2)
                levels.append(ctx.get(guard.tx))
                await ctx.tick()
            assert levels.count(0) == 2 * FLAG_BITS * unlocked

    simulator = Simulator(guard)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("gone_after", range(1, 14))
def test_taking_the_key_away_ends_a_flag_at_once(gone_after):
    guard = Guard(burst=1, interval_cycles=1)

    async def bench(ctx):
        ctx.set(guard.in_flight, 1)
        ctx.set(guard.bit_start, 1)
        for cycle in range(40):
            ctx.set(guard.key, KEY if cycle < 5 + gone_after else 0)
            ctx.set(guard.kill, cycle == 5)
            if cycle > 5 + gone_after:
                assert ctx.get(guard.tx)
            await ctx.tick()

    simulator = Simulator(guard)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"burst": 0}, "burst of the guard must be at least 1, not 0"),
        ({"interval_cycles": 0}, "interval_cycles of the guard must be at least 1, not 0"),
        ({"key": 0}, "key of the guard must be a 32-bit word other than zero, not 0"),
        ({"key": 1 << 32}, "key of the guard"),
    ],
)
def test_impossible_guards_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        Guard(**({"burst": 1, "interval_cycles": 1} | options))
