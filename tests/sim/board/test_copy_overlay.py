"""The real DMA engines against the memory model: what one burst at a time cannot show."""

from functools import cache

import numpy as np
import pytest

import host.copy  # noqa: F401  binds the driver
from hw.overlay.copy import CopyOverlay
from hw.overlay.package import package
from sim.board import MemoryModel

NBYTES = 4096


@cache
def packaged(data_bits):
    return package(CopyOverlay(data_bits=data_bits))


@pytest.fixture
def copier(make_board):
    """Gives (board, function that copies NBYTES and returns the busy cycles, the two buffers)."""
    from pynq import Overlay, allocate

    def make(data_bits):
        board = make_board(packaged(data_bits))
        ip = Overlay(board.bitfile).copy
        source, destination = allocate(NBYTES, "u1"), allocate(NBYTES + 64, "u1")
        source[:] = np.random.default_rng(data_bits).integers(0, 256, NBYTES, np.uint8)

        def copy(offset=0):
            destination[:] = 0
            before = ip.counters["busy_cycles"]
            ip.copy(source, destination, destination_offset=offset)
            assert np.array_equal(destination[offset : offset + NBYTES], source)
            return ip.counters["busy_cycles"] - before

        return board, copy

    return make


def test_requests_in_flight_hide_the_latency(copier):
    board, copy = copier(64)
    beats = NBYTES // 8
    board.memory = MemoryModel(latency=40)
    many = copy()
    board.memory = MemoryModel(latency=40, requests=1)
    one = copy()
    assert beats <= many < 1.3 * beats
    # Each burst of 16 beats now pays its latency.
    assert one > beats + beats // 16 * 40


def test_reads_and_writes_share_no_bandwidth(copier):
    board, copy = copier(64)
    board.memory = MemoryModel(beat_cycles=4)
    assert 4 * NBYTES // 8 <= copy() < 4.2 * NBYTES // 8


def test_a_bus_of_128_bits_and_partial_beats(copier):
    board, copy = copier(128)
    for offset in (0, 3, 17):
        board.memory = MemoryModel(latency=7, stalls=0.2, seed=offset)
        copy(offset)
    counts = board.statistics["memory"]
    assert counts["write_beats"] == NBYTES // 16 + 2 * (NBYTES // 16 + 1)
