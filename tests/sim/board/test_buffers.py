import gc

import numpy as np
import pytest

from sim.board.buffers import DRAM_PATTERN, HOST_PATTERN, PAGE, Dram


class Device:
    """Synchronises as the simulated device does."""

    def flush(self, bo, offset, vaddr, nbytes):
        bo.flush(offset, nbytes)

    def invalidate(self, bo, offset, vaddr, nbytes):
        bo.invalidate(offset, nbytes)


@pytest.fixture
def dram():
    return Dram(base=0x1000_0000, size=4 * PAGE)


def allocate(dram, shape, dtype="u1", *, coherent=False):
    return dram.allocate(shape, dtype, coherent=coherent, device=Device())


def in_dram(dram, buffer):
    start = buffer.device_address - dram.base
    return dram.bytes[start : start + buffer.nbytes]


def test_nothing_passes_before_it_is_synchronised(dram):
    buffer = allocate(dram, 16)
    assert (buffer == HOST_PATTERN).all()
    buffer[:] = np.arange(16)
    assert (in_dram(dram, buffer) == DRAM_PATTERN).all()
    buffer.flush()
    assert in_dram(dram, buffer).tolist() == list(range(16))
    in_dram(dram, buffer)[:] = 9
    assert buffer[0] == 0
    buffer.invalidate()
    assert (buffer == 9).all()


def test_a_view_synchronises_its_own_part_alone(dram):
    buffer = allocate(dram, (4, 4))
    buffer[:] = 1
    buffer[2].sync_to_device()
    assert in_dram(dram, buffer).tolist() == [DRAM_PATTERN] * 8 + [1] * 4 + [DRAM_PATTERN] * 4
    assert buffer[2].device_address == buffer.device_address + 8


def test_a_coherent_buffer_needs_no_synchronising(dram):
    buffer = allocate(dram, 4, "u4", coherent=True)
    buffer[:] = 0x01020304
    assert in_dram(dram, buffer)[:4].tolist() == [4, 3, 2, 1]


@pytest.mark.parametrize(
    "free", [lambda buffer: buffer.freebuffer(), lambda buffer: buffer.__exit__(None, None, None)]
)
def test_freed_memory_is_used_again_and_carries_nothing_over(dram, free):
    first = allocate(dram, 16)
    first[:] = 1
    first.flush()
    free(first)
    free(first)  # twice does no harm
    second = allocate(dram, 16)
    assert second.device_address == first.device_address
    assert (in_dram(dram, second) == DRAM_PATTERN).all()
    with pytest.raises(RuntimeError, match="this buffer was freed"):
        first.flush()


def test_a_view_keeps_the_memory_of_its_buffer(dram):
    view = allocate(dram, 3 * PAGE)[10:20]
    gc.collect()
    with pytest.raises(RuntimeError, match=r"12,288 bytes do not fit in the 4,096 that are free"):
        allocate(dram, 3 * PAGE)
    del view
    gc.collect()
    assert dram.free_bytes == dram.size


def test_neighbours_join_when_freed(dram):
    buffers = [allocate(dram, PAGE) for _ in range(4)]
    for index in (1, 3, 0, 2):
        buffers[index].freebuffer()
    allocate(dram, 4 * PAGE)
