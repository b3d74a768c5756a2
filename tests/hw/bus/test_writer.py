import random
from functools import partial

import pytest

from hw.bus.axi import Response
from hw.bus.transfer import plan_bursts
from hw.bus.writer import Writer
from sim.axi_memory import Conditions
from sim.engine_bench import Job

ADDR_BITS = 17
SPACE = 1 << ADDR_BITS
WIDTHS = [32, 64, 128]
CONDITIONS = {
    "smooth": Conditions(),
    "slow memory": Conditions(latency_cycles=40),
    "all random": Conditions(gap=0.3, stall=0.3),
    "slow data channel": Conditions(stalls={"w": 0.7}),
    "slow address": Conditions(stalls={"aw": 0.9}, latency_cycles=5),
    "slow source": Conditions(gap=0.6),
}


@pytest.fixture(scope="module")
def bench(bench_of):
    return partial(bench_of, Writer, addr_bits=ADDR_BITS)


def write(bench, transfers, conditions=None, *, rng):
    """Write random bytes; return the log, and the memory as it should be."""
    packets = [rng.randbytes(length) for _, length in transfers]
    wanted = bytearray(bench.content)
    for (addr, length), packet in zip(transfers, packets, strict=True):
        wanted[addr : addr + length] = packet
    return bench.run(Job(transfers=transfers, packets=packets), conditions), wanted


def check(log, transfers, *, data_bits, burst_beats=16):
    assert len(log.done) == len(transfers)
    plans = [plan_bursts(*transfer, data_bits=data_bits, burst_beats=burst_beats) for transfer in transfers]
    assert log.bursts == [burst for plan in plans for burst in plan]


@pytest.mark.parametrize("data_bits", WIDTHS)
@pytest.mark.parametrize("conditions", CONDITIONS)
def test_any_bytes_to_any_address_and_no_byte_beside(bench, data_bits, conditions):
    rng = random.Random(f"{data_bits} {conditions}")
    transfers = [(rng.randrange(SPACE - 700), rng.choice([0, 1, rng.randrange(200), 650])) for _ in range(25)]
    bench = bench(data_bits=data_bits)
    log, wanted = write(bench, transfers, CONDITIONS[conditions], rng=rng)
    assert bench.content == wanted
    check(log, transfers, data_bits=data_bits)
    assert not log.errors


@pytest.mark.parametrize("burst_beats", [1, 4, 256])
def test_bursts_of_any_size(bench, burst_beats):
    bench = bench(data_bits=64, burst_beats=burst_beats, outstanding=4)
    transfers = [(0xFF3, 3000), (0, 7), (0x8FF8, 16)]
    log, wanted = write(bench, transfers, Conditions(stall=0.2, gap=0.2), rng=random.Random(burst_beats))
    assert bench.content == wanted
    check(log, transfers, data_bits=64, burst_beats=burst_beats)


@pytest.mark.parametrize("latency_cycles", [0, 40])
def test_bus_use(bench, latency_cycles):
    length = 65536
    conditions = Conditions(latency_cycles=latency_cycles)
    log, _ = write(bench(data_bits=128), [(0x1003, length)], conditions, rng=random.Random(1))
    assert log.bus_use(data_bits=128, length=length) >= 0.95


def test_one_beat_a_cycle(bench):
    log, _ = write(bench(data_bits=32), [(0x101, 900)], rng=random.Random(1))
    assert log.moved["w"] == list(range(log.moved["w"][0], log.moved["w"][0] + 226))


def test_no_address_before_the_data_of_its_burst(bench):
    conditions = Conditions(gap=0.8)
    log, _ = write(bench(data_bits=32), [(0x100, 640)], conditions, rng=random.Random(1))
    for burst, cycle in enumerate(log.moved["aw"], 1):
        assert sum(given < cycle for given in log.moved["data"]) >= 16 * burst


def test_several_bursts_await_their_responses(bench):
    log, _ = write(
        bench(data_bits=32), [(0, 256), (512, 256)], Conditions(latency_cycles=300), rng=random.Random(1)
    )
    assert len(log.moved["aw"]) == 8
    assert log.moved["aw"][7] < log.moved["b"][0]


def test_done_comes_with_the_last_response(bench):
    log, _ = write(
        bench(data_bits=64), [(8, 300), (1000, 300)], Conditions(latency_cycles=25), rng=random.Random(1)
    )
    first = len(plan_bursts(8, 300, data_bits=64))
    assert log.done == [log.moved["b"][first - 1] + 1, log.moved["b"][-1] + 1]


@pytest.mark.parametrize("response", [Response.SLVERR, Response.DECERR])
@pytest.mark.parametrize("data_bits", WIDTHS)
def test_an_error_is_reported_with_the_address_of_its_burst(bench, data_bits, response):
    bench = bench(data_bits=data_bits)
    transfers = [(0x103, 300), (0x801, 100), (0x103, 8)]
    at = 0x103 + 200
    faulty = [
        burst.addr
        for burst in plan_bursts(0x103, 300, data_bits=data_bits)
        if burst.addr <= at < burst.addr + burst.beats * data_bits // 8
    ]
    conditions = Conditions(faults=((at, at, response),), stall=0.2, seed=3)
    log, _ = write(bench, transfers, conditions, rng=random.Random(2))
    assert log.errors == [(response.value, addr) for addr in faulty]
    check(log, transfers, data_bits=data_bits)


def test_a_transfer_beyond_the_address_space_takes_no_data(bench):
    bench = bench(data_bits=64)
    kept = [(16, 400), (SPACE - 8, 8), (24, 5)]
    rng = random.Random(4)
    packets = [rng.randbytes(length) for _, length in kept]
    transfers = [kept[0], (SPACE - 8, 9), kept[1], (1, (1 << 32) - 1), kept[2]]
    log = bench.run(Job(transfers=transfers, packets=packets), Conditions(latency_cycles=10))
    assert log.errors == [(Response.DECERR.value, SPACE - 8), (Response.DECERR.value, 1)]
    assert len(log.done) == 5
    assert bench.content[24:29] == packets[2]
    assert bench.content[SPACE - 8 :] == packets[1]
    # In its turn: after the responses of the transfer before it.
    assert log.done[1] > log.moved["b"][len(plan_bursts(*kept[0], data_bits=64)) - 1]


def flush_and_go_on(bench, transfers, flush, conditions, rng):
    """Flush amid `transfers` to the lower half, then write to the upper half; return the log."""
    after = [(SPACE // 2 + 1000 * n + rng.randrange(100), rng.randrange(1, 300)) for n in range(3)]
    packets = [rng.randbytes(length) for _, length in transfers]
    last = [rng.randbytes(length) for _, length in after]
    before = bytes(bench.content)
    job = Job(transfers=transfers, packets=packets, flush=flush, then=Job(transfers=after, packets=last))
    log = bench.run(job, conditions)
    assert [bytes(bench.content[addr : addr + length]) for addr, length in after] == last
    allowed = set()
    for addr, length in transfers:
        allowed.update(range(addr, addr + length))
    half = SPACE // 2
    assert all(at in allowed for at in range(half) if bench.content[at] != before[at])
    resumed = log.moved["request"][-3]
    assert not [cycle for cycle in log.done if flush.start < cycle <= resumed]
    assert len([cycle for cycle in log.done if cycle > resumed]) == 3
    return log


@pytest.mark.parametrize("seed", range(8))
def test_a_flush_completes_what_the_bus_was_promised_and_drops_the_rest(bench, seed):
    rng = random.Random(seed)
    start = rng.randrange(4, 250)
    flush = range(start, start + rng.choice([1, 2, 150]))
    transfers = [(rng.randrange(SPACE // 2 - 600), rng.randrange(600)) for _ in range(20)]
    conditions = Conditions(
        latency_cycles=rng.choice([0, 30]),
        stall=rng.choice([0, 0.5]),
        stalls=rng.choice([{}, {"aw": 0.95}, {"w": 0.95}]),
        seed=seed,
    )
    log = flush_and_go_on(bench(data_bits=64), transfers, flush, conditions, rng)
    assert len(log.bursts) < sum(len(plan_bursts(*transfer, data_bits=64)) for transfer in transfers)


@pytest.mark.parametrize("gap", [0, 0.4])
def test_a_flush_in_any_cycle(bench, gap):
    bench, rng = bench(data_bits=32, burst_beats=4), random.Random(5)
    for start in range(2, 60):
        conditions = Conditions(gap=gap, seed=start)
        flush_and_go_on(bench, [(8, 60), (0x101, 70)], range(start, start + 1), conditions, rng)


@pytest.mark.parametrize("seed", range(3))
def test_a_flush_with_the_last_granted_beat_still_outside_the_buffer(bench, seed):
    # One beat, then four bursts of sixteen: one beat more than the buffer holds, while the bus takes none.
    conditions = Conditions(stalls={"w": 0.995}, seed=seed)
    log = flush_and_go_on(
        bench(data_bits=64), [(0x78, 2000)], range(130, 131), conditions, random.Random(seed)
    )
    assert [cycle for cycle in log.moved["aw"] if cycle < 130][4:]


def test_stalls_say_what_an_engine_waits_for(bench):
    bench = bench(data_bits=32)
    waits = {
        "address": Conditions(stalls={"aw": 0.97}),
        "data": Conditions(gap=0.8),
        "sink": Conditions(stalls={"w": 0.8}),
    }
    quiet, _ = write(bench, [(0, 2048)], rng=random.Random(1))
    assert max(quiet.stalls.values()) < 10
    for name, conditions in waits.items():
        log, _ = write(bench, [(0, 2048)], conditions, rng=random.Random(1))
        assert max(log.stalls, key=log.stalls.get) == name
        assert log.stalls[name] > 200
