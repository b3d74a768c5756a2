"""The memory behind an overlay: timing, errors, and what it does not let pass."""

import numpy as np
import pytest

from sim.board import Fault, MemoryModel, ProtocolViolation

ADDEND = 3


@pytest.fixture
def buffers(driver):
    from pynq import allocate

    source, destination = allocate(16, "u8"), allocate(16, "u8")
    source[:] = np.arange(16) << 40
    source.flush()
    return source, destination


@pytest.fixture
def job(board, driver, buffers):
    """Runs the probe once; gives its STATUS and the busy cycles."""
    source, destination = buffers

    def run(*, beats=16, source_address=None):
        busy_before = busy_cycles()
        address = source.device_address if source_address is None else source_address
        driver.start(address, destination.device_address, beats=beats, addend=ADDEND)
        status = driver.finish()
        return status, busy_cycles() - busy_before

    def busy_cycles():
        driver.registers.SNAPSHOT = 1
        return int(driver.registers.BUSY_CYCLES_LO)

    return run


def test_data_pass(job, buffers, board):
    source, destination = buffers
    job()
    destination.invalidate()
    assert (destination == np.asarray(source) + ADDEND).all()
    assert board.statistics["memory"] == {
        "read_bursts": 1, "write_bursts": 1, "read_beats": 16, "write_beats": 16, "read_bytes": 128,
        "write_bytes": 128,
    }  # fmt: skip


def test_each_cycle_of_latency_and_bandwidth_counts(board, job):
    _, fast = job()
    board.memory = MemoryModel(latency=40)
    _, late = job()
    assert late - fast == 2 * 40  # once for the read, once for the response of the write
    board.memory = MemoryModel(latency=40, write_latency=0)
    assert job()[1] - fast == 40
    board.memory = MemoryModel(beat_cycles=3)
    _, narrow = job()
    assert narrow - fast == 2 * 15 * 2  # two idle cycles after each beat but the last, both ways


def test_stalls_follow_from_their_seed(board, job, buffers):
    def five_jobs(seed):
        board.memory = MemoryModel(stalls=0.5, seed=seed)
        return [job()[1] for _ in range(5)]

    first = five_jobs(7)
    assert len(set(first)) > 1
    assert five_jobs(8) != first
    assert five_jobs(7) == first
    buffers[1].invalidate()
    assert (buffers[1] == np.asarray(buffers[0]) + ADDEND).all()


def test_the_same_run_takes_the_same_cycles(probe, probe_driver, make_board):
    def cycles():
        from pynq import allocate

        board = make_board(probe, memory=MemoryModel(latency=9, stalls=0.3, seed=5))
        driver = probe_driver(board.bitfile)
        buffer = allocate(16, "u8")
        driver.start(buffer.device_address, buffer.device_address, beats=16)
        driver.finish()
        return board.cycles

    assert cycles() == cycles()


def test_an_error_is_met_at_its_address_and_only_there(board, driver, job, buffers):
    source, _ = buffers
    bad = source.device_address + 5 * 8
    board.memory = MemoryModel(faults=(Fault(address=bad, length=8, writes=False),))
    assert job(beats=5)[0] >> 16 == 0
    assert job(beats=6)[0] >> 16 == 1  # ERROR_READ
    assert int(driver.registers.ERROR_ADDR_LO) == bad
    driver.registers.ERROR = 1
    board.memory = MemoryModel(faults=(Fault(address=bad, length=8, reads=False),))
    assert job()[0] >> 16 == 0


def test_a_write_that_fails_changes_nothing(board, job, buffers):
    _, destination = buffers
    board.memory = MemoryModel(
        faults=(Fault(address=destination.device_address, response="DECERR", reads=False),)
    )
    assert job()[0] >> 16 == 2  # ERROR_WRITE
    destination.invalidate()
    assert (destination.view("u1") == 0xA5).all()


def test_outside_of_the_memory_nothing_answers(job):
    assert job(source_address=0x0800_0000)[0] >> 16 == 1


@pytest.mark.parametrize(
    ("manners", "stalls", "rule"),
    [
        ("CROSS", 0.0, "a burst crosses a 4 KiB boundary"),
        ("SHORT", 0.0, "WLAST is missing on the last beat"),
        ("WITHDRAW", 0.9, "valid was withdrawn before ready"),
        ("FIDGET", 0.9, "the payload changed while it waited for ready"),
    ],
)
def test_bad_manners_are_reported(board, driver, buffers, manners, stalls, rule, request):
    kinds = request.getfixturevalue("manners_of_the_probe")
    board.memory = MemoryModel(stalls=stalls, seed=1)
    source, destination = (buffer.device_address for buffer in buffers)
    with pytest.raises(ProtocolViolation, match=f"AXI master 'memory': {rule} .* in cycle"):
        driver.start(source, destination, beats=4, manners=kinds[manners])


def test_a_strobe_below_the_address_is_reported(driver, buffers):
    source, destination = (buffer.device_address for buffer in buffers)
    with pytest.raises(ProtocolViolation, match="a strobe is set outside the bytes of its beat"):
        driver.start(source, destination + 4, beats=2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"latency": -1}, "latency is a number of cycles from 0 on, not -1"),
        ({"beat_cycles": 0}, "beat_cycles must be at least 1, not 0"),
        ({"stalls": 1.0}, "stalls is a probability below 1"),
        ({"requests": 65}, "requests must be in 1 to 64, not 65"),
    ],
)
def test_impossible_memory_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MemoryModel(**wrong)


def test_an_impossible_fault_is_refused():
    with pytest.raises(ValueError, match="response must be one of"):
        Fault(address=0, response="OKAY")
    with pytest.raises(ValueError, match="at least a byte"):
        Fault(address=0, length=0)
