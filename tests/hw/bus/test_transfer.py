import random

import pytest

from hw.bus.transfer import Planner, check_engine, plan_bursts
from sim.stream_sweep import GAPS, STALLS, StreamBench

ADDR_BITS = 20
SPACE = 1 << ADDR_BITS


@pytest.mark.parametrize("data_bits", [32, 64, 128])
@pytest.mark.parametrize("burst_beats", [1, 16, 256])
def test_a_plan_covers_the_transfer_once_and_keeps_the_rules(data_bits, burst_beats):
    rng = random.Random(7)
    beat_bytes = data_bits // 8
    for _ in range(100):
        addr, length = rng.randrange(SPACE), rng.randrange(1, 9000)
        plan = plan_bursts(addr, length, data_bits=data_bits, burst_beats=burst_beats)
        position = addr // beat_bytes * beat_bytes
        for burst in plan:
            end = burst.addr + burst.beats * beat_bytes
            assert burst.addr == position
            assert 1 <= burst.beats <= burst_beats
            assert burst.addr // 4096 == (end - 1) // 4096
            position = end
        assert position - beat_bytes < addr + length <= position
        # One more than the fewest possible at most: the transfer begins inside a block.
        beats = sum(burst.beats for burst in plan)
        assert len(plan) <= -(-beats // burst_beats) + 1


def test_a_plan_of_nothing_is_empty():
    assert plan_bursts(0x123, 0, data_bits=64) == []


def test_a_plan_by_hand():
    plan = plan_bursts(0xFFD, 16, data_bits=32, burst_beats=4)
    assert [(burst.addr, burst.beats) for burst in plan] == [(0xFFC, 1), (0x1000, 4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_bits": 48}, r"data_bits must be one of \(32, 64, 128\), not 48"),
        ({"burst_beats": 12}, r"burst_beats must be one of \[1, 2, 4, .*256\], not 12"),
        ({"addr_bits": 8}, "addr_bits of a DMA engine must be 16 to 64, not 8"),
        ({"outstanding": 2}, "outstanding must be 4 to 64 bursts, not 2"),
    ],
)
def test_parameters_that_make_no_engine_are_refused(change, message):
    good = {"data_bits": 32, "addr_bits": 40, "burst_beats": 16, "outstanding": 8}
    with pytest.raises(ValueError, match=message):
        check_engine(**{**good, **change})


def test_a_plan_refuses_a_negative_length():
    with pytest.raises(ValueError, match="not 0 and -1"):
        plan_bursts(0, -1, data_bits=32)


@pytest.mark.parametrize(("data_bits", "burst_beats"), [(32, 16), (64, 1), (128, 256), (64, 16)])
@pytest.mark.parametrize("stall", ["no stall", "random"])
def test_the_planner_does_what_its_twin_says(data_bits, burst_beats, stall):
    rng = random.Random(burst_beats)
    transfers = [(rng.randrange(SPACE // 2), rng.choice([1, 7, 16, 4096, 300])) for _ in range(25)]
    unit = Planner(data_bits=data_bits, addr_bits=ADDR_BITS, burst_beats=burst_beats)
    items = [{"addr": addr, "length": length} for addr, length in transfers]
    run = StreamBench(unit).run({"i": items}, gap=GAPS["random"], stall=STALLS[stall])
    bursts = iter(run.items["o"])
    beat_bytes = data_bits // 8
    for addr, length in transfers:
        plan = plan_bursts(addr, length, data_bits=data_bits, burst_beats=burst_beats)
        for index, wanted in enumerate(plan):
            burst = next(bursts)
            assert (burst["addr"], burst["len"] + 1) == (wanted.addr, wanted.beats)
            assert (burst["first"], burst["last"]) == (index == 0, index == len(plan) - 1)
            assert (burst["offset"], burst["tail"]) == (addr % beat_bytes, (length - 1) % beat_bytes)
            assert not burst["empty"]
    assert not list(bursts)


def test_nothing_to_move_and_too_much_become_empty_bursts():
    unit = Planner(data_bits=32, addr_bits=ADDR_BITS, burst_beats=16)
    asked = [(5, 0), (SPACE - 4, 4), (SPACE - 4, 5), (0, (1 << 32) - 1), (SPACE - 1, 1), (SPACE - 1, 0)]
    items = [{"addr": addr, "length": length} for addr, length in asked]
    bursts = StreamBench(unit).run({"i": items}).items["o"]
    kinds = [(burst["empty"], burst["refused"], burst["first"], burst["last"]) for burst in bursts]
    moves, nothing, refused = (0, 0, 1, 1), (1, 0, 1, 1), (1, 1, 1, 1)
    assert kinds == [nothing, moves, refused, refused, moves, nothing]
    assert [burst["addr"] for burst in bursts if burst["refused"]] == [SPACE - 4, 0]


def test_latency_and_rate_of_the_planner():
    unit = Planner(data_bits=32, addr_bits=ADDR_BITS, burst_beats=16)
    run = StreamBench(unit).run({"i": [{"addr": 0, "length": 64 * 10}, {"addr": 0, "length": 1}]})
    first, second = run.cycles["i"]
    bursts = run.cycles["o"]
    assert bursts[0] - first == Planner.LATENCY_CYCLES
    assert bursts[:10] == list(range(bursts[0], bursts[0] + 10))
    assert second == bursts[9]
