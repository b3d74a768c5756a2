"""The driver of `copy` as a user meets it: both ways of waiting, and every way to go wrong."""

import asyncio

import numpy as np
import pytest
from pynq import Overlay, allocate

from host.accelerator import AcceleratorError, AcceleratorTimeout
from host.demos import copy as demo
from hw.overlay.copy import CopyOverlay
from hw.overlay.package import package
from sim.board import Fault, MemoryModel, simulated_board

NBYTES = 4096


@pytest.fixture(scope="module")
def packaged():
    return package(CopyOverlay())


@pytest.fixture
def _event_loop():
    """pynq binds interrupts to the current loop, of which asyncio.run() of another test has left none."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(params=["zynqmp", "zynq7000"])
def board(packaged, request, _event_loop):
    with simulated_board(packaged, flavour=request.param) as board:
        yield board


@pytest.fixture
def copier(board):
    return Overlay(board.bitfile).copy


@pytest.fixture
def buffers(copier):
    with allocate(NBYTES, np.uint8) as source, allocate(NBYTES, np.uint8) as destination:
        source[:] = np.random.default_rng(5).integers(0, 256, NBYTES, np.uint8)
        destination[:] = 0
        yield source, destination


def test_polling(copier, buffers):
    source, destination = buffers
    assert copier.copy(source, destination) == demo.checksum(np.asarray(source))
    assert np.array_equal(source, destination)


def test_interrupt_lets_other_coroutines_run(board):
    turns = []

    async def main():
        copier = Overlay(board.bitfile).copy  # its events belong to the loop that is running now
        source, destination = allocate(NBYTES, np.uint8), allocate(NBYTES, np.uint8)
        source[:] = np.arange(NBYTES)
        job = asyncio.ensure_future(copier.copy_async(source, destination))
        while not job.done():
            turns.append(board.cycles)
            await asyncio.sleep(0)
        assert job.result() == demo.checksum(np.asarray(source))
        assert np.array_equal(source, destination)

    asyncio.run(main())
    assert len(turns) > 2


def test_part_of_a_buffer_at_odd_places(copier, buffers):
    source, destination = buffers
    copier.copy(source, destination, nbytes=101, source_offset=3, destination_offset=1001)
    assert np.array_equal(destination[1001:1102], source[3:104])
    assert not np.any(destination[:1001])
    assert not np.any(destination[1102:])


def test_counters_tell_work_from_waiting(board, copier, buffers):
    before = copier.counters
    board.memory = MemoryModel(latency=500)
    copier.copy(*buffers)
    after = copier.counters
    assert after["cycles"] > after["busy_cycles"] > before["busy_cycles"]
    assert after["stall_read_data"] - before["stall_read_data"] >= 500


@pytest.mark.parametrize("kept", [{"writes": False}, {"reads": False}])
def test_an_error_names_its_cause_and_address_and_a_soft_reset_heals(board, copier, buffers, kept):
    source, destination = buffers
    address = source.device_address + 256 if "writes" in kept else destination.device_address + 256
    board.memory = MemoryModel(faults=(Fault(address=address, **kept),))
    cause = "read" if "writes" in kept else "write"
    with pytest.raises(AcceleratorError, match=f"reports {cause} at address {address:#x}; soft_reset"):
        copier.copy(source, destination)
    copier.soft_reset()
    board.memory = MemoryModel()
    copier.copy(source, destination)
    assert np.array_equal(source, destination)


def test_a_source_beyond_the_address_space_fails_at_once(copier, buffers):
    _, destination = buffers
    top = (1 << 40) - 16
    copier.start(top, destination.device_address, 32)
    with pytest.raises(AcceleratorError, match=f"reports read at address {top:#x}"):
        copier.wait()
    copier.soft_reset()
    assert not copier.status.busy


def test_a_job_that_takes_too_long_shows_status_and_counters(board, copier, buffers):
    source, destination = buffers
    board.memory = MemoryModel(latency=100_000)
    with pytest.raises(AcceleratorTimeout, match=r"not done after 0 s; busy; cycles \d+, .*stall_read_data"):
        copier.copy(source, destination, timeout_s=0)
    with pytest.raises(RuntimeError, match="a copy is under way"):
        copier.copy(source, destination)
    copier.soft_reset()  # waits for what memory still owes
    board.memory = MemoryModel()
    copier.copy(source, destination)
    assert np.array_equal(source, destination)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"nbytes": NBYTES + 1}, f"{NBYTES + 1} bytes from offset 0 on do not fit in the source"),
        ({"source_offset": -1, "nbytes": 4}, "4 bytes from offset -1 on do not fit in the source"),
        ({"destination_offset": 1}, f"{NBYTES} bytes from offset 1 on do not fit in the destination"),
        ({"nbytes": 0}, "nbytes must be in 1 .. 4294967295, not 0"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_starts(copier, buffers, places, message):
    with pytest.raises(ValueError, match=message):
        copier.copy(*buffers, **places)
    assert not copier.status.busy


def test_a_forgotten_flush_is_seen(copier, buffers, monkeypatch):
    """The simulated board keeps host copies apart, so this fails as on a board."""
    source, destination = buffers
    monkeypatch.setattr(type(source), "flush", lambda self: None)
    copier.copy(source, destination)
    assert not np.array_equal(source, destination)


def test_the_demo_runs(board):
    asyncio.run(demo.main())
