"""Beats regrouped and vectors repeated, under every pattern of gaps and stalls."""

from random import Random

import pytest
from amaranth.lib import data

from hw.dataflow.lanes import Regroup, RepeatBuffer
from sim.stream_sweep import StreamBench, sweep


@pytest.mark.parametrize(("i_lanes", "o_lanes"), [(1, 4), (4, 1), (2, 6), (6, 2), (3, 3)])
def test_regrouped_numbers_stay_in_order(i_lanes, o_lanes):
    unit = Regroup(shape=3, i_lanes=i_lanes, o_lanes=o_lanes)

    def items(length, random):
        return {"i": [[random.randrange(8) for _ in range(i_lanes)] for _ in range(length * o_lanes)]}

    def golden(given):
        numbers = [number for beat in given["i"] for number in beat]
        return {"o": [numbers[at : at + o_lanes] for at in range(0, len(numbers), o_lanes)]}

    sweep(unit, items=items, golden=golden, lengths=(1, 4))
    beats = items(4, Random(1))
    assert unit.compute(beats["i"]) == golden(beats)["o"]
    cycles = StreamBench(unit).run(beats).cycles
    wide = cycles["o"] if o_lanes > i_lanes else cycles["i"]
    assert len(cycles["i"]) + len(cycles["o"]) > len(wide)
    fast = max(cycles.values(), key=len)
    assert fast[-1] - fast[0] == len(fast) - 1  # the side with more beats never waits
    first = cycles["i"][max(1, o_lanes // i_lanes) - 1]
    assert cycles["o"][0] - first == Regroup.LATENCY_CYCLES


def test_lanes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="must divide each other, not 4 and 6"):
        Regroup(shape=2, i_lanes=4, o_lanes=6)


@pytest.mark.parametrize(("beats", "times"), [(1, 3), (4, 1), (3, 5)])
def test_vectors_are_repeated(beats, times):
    unit = RepeatBuffer(shape=data.ArrayLayout(2, 2), beats=beats, times=times)

    def items(length, random):
        return {"i": [[random.randrange(4), random.randrange(4)] for _ in range(length * beats)]}

    def golden(given):
        vectors = [given["i"][at : at + beats] for at in range(0, len(given["i"]), beats)]
        return {"o": [item for vector in vectors for _ in range(times) for item in vector]}

    sweep(unit, items=items, golden=golden, lengths=(1, 2, 5))
    given = items(5, Random(1))
    assert unit.compute(given["i"] + [[0, 0]] * (beats - 1)) == golden(given)["o"]
    cycles = StreamBench(unit).run(given).cycles
    assert cycles["o"][0] - cycles["i"][beats - 1] == RepeatBuffer.LATENCY_CYCLES
    if times > 1:
        assert cycles["o"][-1] - cycles["o"][0] == 5 * beats * times - 1


def test_a_vector_of_nothing_is_refused():
    with pytest.raises(ValueError, match="times of a RepeatBuffer must be a positive integer, not 0"):
        RepeatBuffer(shape=2, beats=1, times=0)
