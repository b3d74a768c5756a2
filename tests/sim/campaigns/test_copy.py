"""A short run of what `colonnade copy` does at length; and proof that the campaign can fail."""

import numpy as np
import pytest

from sim.campaigns.copy import CopyBench

NBYTES = 1 << 15


@pytest.fixture(scope="module", params=["zynqmp", "zynq7000"])
def bench(request, event_loop_of_pynq):
    with CopyBench(nbytes=NBYTES, flavour=request.param) as bench:
        yield bench


def test_random_timing_lengths_and_places(bench):
    assert [bench.check_seed(seed) for seed in range(8)] == [0] * 8


def test_every_injected_error_is_reported_with_its_address_and_recovered_from(bench):
    assert [bench.check_fault(case) for case in bench.fault_cases(range(8))] == [None] * 8


def test_the_bus_is_used(bench):
    # The acceptance goal is for 1 MiB; a job this short pays its start-up 32 times as dearly.
    assert bench.bus_use(latency=0) > 0.95
    assert bench.bus_use(latency=40) > 0.9


def test_a_byte_that_is_wrong_is_counted(bench, monkeypatch):
    copy = bench.copier.copy

    def corrupting(source, destination, **places):
        checksum = copy(source, destination, **places)
        destination[np.random.default_rng(0).integers(NBYTES)] ^= 1
        return checksum

    monkeypatch.setattr(bench.copier, "copy", corrupting)
    assert bench.check_seed(0) > 0
