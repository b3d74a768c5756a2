import itertools

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.can.bit_timing import TIMING_LAYOUT, BitTimer, BitTiming

TIMING = BitTiming(prescaler=2, tseg1=7, tseg2=4, sjw=2)
GLITCH_CYCLES = 3


def listen(levels, *, timing=TIMING, hard_sync=lambda cycle: False, glitch_cycles=GLITCH_CYCLES):
    """Play a level a cycle; the cycles with a sample and its bit, and those with a bit start."""
    dut = BitTimer(glitch_cycles=glitch_cycles)
    samples, starts = [], []

    async def bench(ctx):
        ctx.set(dut.timing, TIMING_LAYOUT.from_bits(timing.word))
        for cycle, level in enumerate(levels):
            ctx.set(dut.rx, int(level))
            ctx.set(dut.hard_sync, hard_sync(cycle))
            if ctx.get(dut.sample):
                samples.append((cycle, ctx.get(dut.bit)))
            if ctx.get(dut.bit_start):
                starts.append(cycle)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return samples, starts


def levels(*runs):
    """(level, cycles) pairs, a level a cycle."""
    return np.concatenate([np.full(cycles, level) for level, cycles in runs])


def at_start(cycle):
    return cycle < 60


BIT = TIMING.cycles_per_bit
BEFORE_SAMPLE = TIMING.prescaler * (1 + TIMING.tseg1)
DELAY = BitTimer.PIN_CYCLES + GLITCH_CYCLES


def test_a_sample_reports_the_level_of_its_sample_point_after_the_stated_latency():
    samples, _ = listen(levels((1, 50), (0, BIT), (1, BIT), (0, 60)), hard_sync=at_start)
    # The last cycle before the sample point of the bit that starts at 50, and of the next, at the pin.
    first = 50 + BEFORE_SAMPLE - 1
    in_frame = [(cycle - DELAY, bit) for cycle, bit in samples if cycle > 50 + DELAY]
    assert in_frame[:3] == [(first, 0), (first + BIT, 1), (first + 2 * BIT, 0)]


def test_the_level_is_taken_at_the_sample_point_and_not_after():
    for late, expected in ((0, 0), (1, 1)):
        # The bit turns recessive one cycle after its sample point, or just before it.
        dominant = BEFORE_SAMPLE + 1 - late - (late and 1)
        samples, _ = listen(levels((1, 50), (0, dominant), (1, 80)), hard_sync=at_start)
        assert next(bit for cycle, bit in samples if cycle > 50 + DELAY) == expected


@pytest.mark.parametrize("glitch", range(1, GLITCH_CYCLES))
def test_a_pulse_shorter_than_the_filter_is_not_seen(glitch):
    quiet, _ = listen(levels((1, 200)))
    noisy, _ = listen(levels((1, 77), (0, glitch), (1, 123 - glitch)), hard_sync=lambda cycle: True)
    assert noisy == quiet


def edge_shift(phase_cycles, *, timing=TIMING):
    """By how many cycles the samples move when the second falling edge comes `phase_cycles` late."""
    bit = timing.cycles_per_bit
    runs = (1, 50), (0, bit), (1, bit + phase_cycles), (0, 4 * bit)
    samples, _ = listen(levels(*runs), timing=timing, hard_sync=at_start)
    before = next(cycle for cycle, _ in samples if cycle > 50 + DELAY)
    after = [cycle for cycle, _ in samples][-1]
    shift = (after - before) % bit
    return shift - bit if shift > bit // 2 else shift


def test_edges_within_reach_are_followed_to_the_cycle():
    reach = TIMING.sjw * TIMING.prescaler
    assert [edge_shift(phase) for phase in range(-reach, reach + 1)] == list(range(-reach, reach + 1))


def test_edges_out_of_reach_move_the_bit_by_the_jump_width():
    reach = TIMING.sjw * TIMING.prescaler
    assert [edge_shift(phase) for phase in (reach + 3, reach + 5)] == [reach, reach]
    assert [edge_shift(phase) for phase in (-reach - 2, -reach - 3)] == [-reach, -reach]


def test_the_coarsest_timing_follows_edges_of_both_signs():
    timing = BitTiming(prescaler=1, tseg1=5, tseg2=2, sjw=2)
    assert [edge_shift(phase, timing=timing) for phase in range(-2, 3)] == [-2, -1, 0, 1, 2]


def test_only_the_first_edge_of_a_bit_counts():
    # Recessive bit with two dominant pulses before its sample point, both longer than the filter.
    pulses = (1, 50), (0, BIT), (1, 2), (0, 4), (1, 4), (0, 4), (1, 4 * BIT)
    one_pulse = (1, 50), (0, BIT), (1, 2), (0, 4), (1, 8), (1, 4 * BIT)
    assert (
        listen(levels(*pulses), hard_sync=at_start)[0][-1]
        == listen(levels(*one_pulse), hard_sync=at_start)[0][-1]
    )


def test_an_edge_after_a_dominant_sample_does_not_count():
    steady = (1, 50), (0, 4 * BIT)
    # Recessive for a moment after the sample point of the first dominant bit.
    pulse = (1, 50), (0, BEFORE_SAMPLE + 1), (1, 5), (0, 4 * BIT - BEFORE_SAMPLE - 6)
    steady_samples, _ = listen(levels(*steady), hard_sync=at_start)
    pulse_samples, _ = listen(levels(*pulse), hard_sync=at_start)
    assert [cycle for cycle, _ in pulse_samples] == [cycle for cycle, _ in steady_samples]


def test_one_bit_start_a_bit_whatever_the_edges_do():
    rng = np.random.default_rng(2)
    runs = [(1, 50)] + [(bit % 2, BIT + int(rng.integers(-3, 4))) for bit in range(40)]
    samples, starts = listen(levels(*runs, (1, 2 * BIT)), hard_sync=at_start)
    in_frame = [("sample", cycle) for cycle, _ in samples if cycle > 50 + DELAY]
    in_frame += [("start", cycle) for cycle in starts if cycle > 50 + DELAY]
    kinds = [kind for kind, _ in sorted(in_frame, key=lambda event: event[1])]
    assert len(kinds) > 70
    assert all(first != second for first, second in itertools.pairwise(kinds))


@pytest.mark.parametrize("clock_hz", [8e6, 16e6, 25e6, 40e6, 50e6, 100e6, 125e6, 200e6, 250e6])
@pytest.mark.parametrize("bit_rate", [125e3, 250e3, 500e3, 1e6])
def test_every_usual_rate_out_of_every_usual_clock(clock_hz, bit_rate):
    timing = BitTiming.for_rate(clock_hz, bit_rate)
    assert timing.cycles_per_bit * bit_rate == clock_hz
    assert 0.75 <= timing.sample_point <= 0.8
    # Ten bits lie between two falling edges at the most: a clock 1 % off moves the edge by a tenth of a bit.
    reach_cycles = (timing.sjw + 1) * timing.prescaler
    assert reach_cycles >= 0.1 * timing.cycles_per_bit


def test_a_word_is_laid_out_as_the_register():
    fields = TIMING_LAYOUT.from_bits(TIMING.word)
    assert (fields.prescaler, fields.tseg1, fields.tseg2, fields.sjw) == (1, 7, 4, 2)


def test_rates_that_cannot_be_made_are_refused():
    with pytest.raises(ValueError, match=r"1000000.0 bit/s out of a clock of 33300000.0 Hz"):
        BitTiming.for_rate(33.3e6, 1e6)
    with pytest.raises(ValueError, match="at least 8 times as fast"):
        BitTiming.for_rate(5e6, 1e6)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"prescaler": 257}, "prescaler of a bit timing must be 1 to 256, not 257"),
        ({"tseg1": 32}, "tseg1 .* 1 to 31, not 32"),
        ({"tseg2": 0}, "tseg2 .* 1 to 15, not 0"),
        ({"sjw": 5}, "sjw .* 1 to 4, not 5"),
        ({"prescaler": 1, "tseg1": 3, "tseg2": 1, "sjw": 1}, "a bit of 5 clock cycles is too short"),
    ],
)
def test_impossible_timings_are_refused(change, rule):
    with pytest.raises(ValueError, match=rule):
        BitTiming(**({"prescaler": 2, "tseg1": 7, "tseg2": 4, "sjw": 2} | change))


def test_a_filter_of_nothing_is_refused():
    with pytest.raises(ValueError, match="glitch_cycles must be at least 1"):
        BitTimer(glitch_cycles=0)
