"""What reader and writer share; what they do with data is in their own tests."""

import random

import pytest

from hw.bus.axi import Response
from hw.bus.reader import Reader
from hw.bus.transfer import plan_bursts
from hw.bus.writer import Writer
from sim.axi_memory import Conditions
from sim.engine_bench import Job

ADDR_BITS = 17
SPACE = 1 << ADDR_BITS


def job_of(kind, transfers, packets):
    return Job(transfers=transfers, packets=packets if kind is Writer else [])


both = pytest.mark.parametrize("kind", [Reader, Writer])


@both
def test_every_request_becomes_its_bursts_and_is_done_once_in_its_turn(bench_of, kind):
    bench, rng = bench_of(kind, data_bits=32, addr_bits=ADDR_BITS), random.Random(9)
    transfers = [(rng.randrange(SPACE - 400), rng.choice([0, rng.randrange(1, 400)])) for _ in range(20)]
    packets = [rng.randbytes(length) for _, length in transfers]
    log = bench.run(job_of(kind, transfers, packets), Conditions(stall=0.3, gap=0.2))
    plans = [plan_bursts(*transfer, data_bits=32) for transfer in transfers]
    assert log.bursts == [burst for plan in plans for burst in plan]
    assert len(log.done) == len(transfers)
    assert not log.errors


@both
def test_nothing_is_done_at_once_and_asks_for_nothing(bench_of, kind):
    job = job_of(kind, [(3, 0)], [b"left"])
    log = bench_of(kind, data_bits=32, addr_bits=ADDR_BITS).run(job)
    assert len(log.done) == 1
    assert not log.bursts
    assert not log.errors
    assert not log.packets


@both
def test_a_transfer_beyond_the_address_space_is_refused_with_its_address(bench_of, kind):
    job = job_of(kind, [(SPACE - 8, 9), (1, (1 << 32) - 1)], [])
    log = bench_of(kind, data_bits=64, addr_bits=ADDR_BITS).run(job)
    assert log.errors == [(Response.DECERR.value, SPACE - 8), (Response.DECERR.value, 1)]
    assert len(log.done) == 2
    assert not log.bursts


@both
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"data_bits": 256}, "data_bits must be one of"),
        ({"data_bits": 64, "outstanding": 3}, "outstanding must be 4 to 64 bursts, not 3"),
        ({"data_bits": 64, "addr_bits": 8}, "addr_bits of a DMA engine must be 16 to 64, not 8"),
        ({"data_bits": 64, "burst_beats": 5}, "burst_beats must be one of"),
    ],
)
def test_parameters_that_no_engine_can_have_are_refused(kind, parameters, message):
    with pytest.raises(ValueError, match=message):
        kind(**parameters)
