import random
from functools import partial

import pytest

from hw.bus.axi import Response
from hw.bus.reader import Reader
from hw.bus.transfer import plan_bursts
from sim.axi_memory import Conditions
from sim.engine_bench import Job

ADDR_BITS = 17
SPACE = 1 << ADDR_BITS
WIDTHS = [32, 64, 128]
CONDITIONS = {
    "smooth": Conditions(),
    "slow memory": Conditions(latency_cycles=40),
    "all random": Conditions(gap=0.3, stall=0.3),
    "slow sink": Conditions(stalls={"data": 0.7}),
    "slow address": Conditions(stalls={"ar": 0.9}, latency_cycles=5),
    "sparse beats": Conditions(gap=0.6),
}


@pytest.fixture(scope="module")
def bench(bench_of):
    return partial(bench_of, Reader, addr_bits=ADDR_BITS)


def check(bench, log, transfers, *, data_bits, burst_beats=16):
    assert log.packets == [bytes(bench.content[addr : addr + length]) for addr, length in transfers if length]
    assert not log.unfinished
    assert len(log.done) == len(transfers)
    plans = [plan_bursts(*transfer, data_bits=data_bits, burst_beats=burst_beats) for transfer in transfers]
    assert log.bursts == [burst for plan in plans for burst in plan]


@pytest.mark.parametrize("data_bits", WIDTHS)
@pytest.mark.parametrize("conditions", CONDITIONS)
def test_any_bytes_from_any_address(bench, data_bits, conditions):
    rng = random.Random(f"{data_bits} {conditions}")
    transfers = [(rng.randrange(SPACE - 700), rng.choice([0, 1, rng.randrange(200), 650])) for _ in range(25)]
    bench = bench(data_bits=data_bits)
    log = bench.run(Job(transfers=transfers), CONDITIONS[conditions])
    check(bench, log, transfers, data_bits=data_bits)
    assert not log.errors


@pytest.mark.parametrize("burst_beats", [1, 4, 256])
def test_bursts_of_any_size(bench, burst_beats):
    parameters = {"data_bits": 64, "burst_beats": burst_beats, "outstanding": 4}
    bench = bench(**parameters)
    transfers = [(0xFF3, 3000), (0, 7), (0x8FF8, 16)]
    log = bench.run(Job(transfers=transfers), Conditions(stall=0.2, gap=0.2))
    check(bench, log, transfers, data_bits=64, burst_beats=burst_beats)


def test_latencies(bench):
    log = bench(data_bits=32).run(Job(transfers=[(0x100, 256)]))
    assert log.moved["ar"][0] - log.moved["request"][0] == Reader.ADDRESS_CYCLES
    assert log.moved["data"][0] - log.moved["r"][0] == Reader.DATA_CYCLES
    assert log.moved["data"] == list(range(log.moved["data"][0], log.moved["data"][0] + 64))


@pytest.mark.parametrize("latency_cycles", [0, 40])
def test_bus_use(bench, latency_cycles):
    length = 65536
    log = bench(data_bits=128).run(
        Job(transfers=[(0x1003, length)]), Conditions(latency_cycles=latency_cycles)
    )
    assert log.bus_use(data_bits=128, length=length) >= 0.95


def test_the_next_transfer_is_asked_for_while_the_former_still_arrives(bench):
    transfers = [(4096 * n, 128) for n in range(6)]
    log = bench(data_bits=32).run(Job(transfers=transfers), Conditions(latency_cycles=60))
    assert log.moved["ar"][5] < log.moved["r"][0]
    assert len(log.packets) == 6


def test_no_more_is_asked_for_than_fits(bench):
    log = bench(data_bits=32, outstanding=4).run(
        Job(transfers=[(0, 4096)]), Conditions(stalls={"data": 0.95})
    )
    # The buffer, and what has left it for the output: at most seven beats.
    for asked, cycle in enumerate(log.moved["ar"], 1):
        passed_on = sum(moved < cycle for moved in log.moved["data"])
        assert asked * 16 - passed_on <= 4 * 16 + Reader.DATA_CYCLES
    assert log.stalls["sink"] > len(log.moved["data"])


@pytest.mark.parametrize("response", [Response.SLVERR, Response.DECERR])
@pytest.mark.parametrize("data_bits", WIDTHS)
def test_an_error_is_reported_with_the_address_of_its_beat(bench, data_bits, response):
    bench = bench(data_bits=data_bits)
    beat_bytes = data_bits // 8
    transfers = [(0x103, 300), (0x801, 100), (0x103, 8)]
    at = 0x103 + 200
    log = bench.run(Job(transfers=transfers), Conditions(faults=((at, at, response),), stall=0.2, seed=3))
    assert log.errors == [(response.value, at // beat_bytes * beat_bytes)]
    check(bench, log, transfers, data_bits=data_bits)


def test_every_beat_with_an_error_is_reported(bench):
    log = bench(data_bits=32).run(
        Job(transfers=[(0x3C, 12)]), Conditions(faults=((0x40, 0xFFF, Response.DECERR),))
    )
    assert log.errors == [(3, 0x40), (3, 0x44)]


def test_a_transfer_beyond_the_address_space_is_refused_in_its_turn(bench):
    bench = bench(data_bits=64)
    transfers = [(16, 400), (SPACE - 8, 9), (SPACE - 8, 8), (1, (1 << 32) - 1), (24, 5)]
    log = bench.run(Job(transfers=transfers), Conditions(latency_cycles=10))
    assert log.errors == [(Response.DECERR.value, SPACE - 8), (Response.DECERR.value, 1)]
    assert log.packets == [bytes(bench.content[a : a + n]) for a, n in transfers if a + n <= SPACE]
    assert len(log.done) == len(transfers)
    # The refused one completes after the one before it.
    assert log.done[1] > log.moved["r"][49]


@pytest.mark.parametrize("seed", range(8))
def test_a_flush_drops_everything_and_leaves_a_working_engine(bench, seed):
    rng = random.Random(seed)
    start = rng.randrange(4, 250)
    flush = range(start, start + rng.choice([1, 2, 150]))
    transfers = [(rng.randrange(SPACE // 2), rng.randrange(600)) for _ in range(20)]
    after = [(rng.randrange(SPACE // 2), rng.randrange(1, 200)) for _ in range(3)]
    conditions = Conditions(
        latency_cycles=rng.choice([0, 30]),
        stall=rng.choice([0, 0.5]),
        stalls=rng.choice([{}, {"ar": 0.95}, {"data": 0.95}]),
        faults=((0, SPACE, Response.SLVERR),) if seed % 4 == 0 else (),
        seed=seed,
    )
    bench = bench(data_bits=64)
    before = bench.run(Job(transfers=transfers), conditions)
    log = bench.run(Job(transfers=transfers, flush=flush, then=Job(transfers=after)), conditions)
    assert log.packets[-3:] == [bytes(bench.content[addr : addr + length]) for addr, length in after]
    assert len(log.moved["ar"]) < len(before.moved["ar"])
    # Nothing is said of what was dropped, and each transfer after it is reported once.
    resumed = log.moved["request"][-3]
    assert not [cycle for cycle in log.done if flush.start < cycle <= resumed]
    assert len([cycle for cycle in log.done if cycle > resumed]) == 3


@pytest.mark.parametrize("stall", [0, 0.4])
def test_a_flush_in_any_cycle(bench, stall):
    bench = bench(data_bits=32, burst_beats=4)
    for start in range(2, 60):
        job = Job(
            transfers=[(8, 60), (0x101, 70)], flush=range(start, start + 1), then=Job(transfers=[(5, 30)])
        )
        log = bench.run(job, Conditions(stall=stall, seed=start))
        assert log.packets[-1] == bench.content[5:35]
        assert len([cycle for cycle in log.done if cycle > start]) == 1


def test_stalls_say_what_an_engine_waits_for(bench):
    bench = bench(data_bits=32)
    job = Job(transfers=[(0, 2048)])
    assert bench.run(job).stalls["sink"] == 0
    waits = {
        "address": Conditions(stalls={"ar": 0.97}),
        "data": Conditions(latency_cycles=300),
        "sink": Conditions(stalls={"data": 0.8}),
    }
    for name, conditions in waits.items():
        stalls = bench.run(job, conditions).stalls
        assert stalls[name] > 200
        assert max(stalls, key=stalls.get) == name or name == "address"
