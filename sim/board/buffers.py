"""Memory that host and overlay share: one DRAM, and pynq buffers that mirror parts of it.

A buffer is a copy on the host's side until it is synchronised, as the cache of a real processor makes it:
code that forgets `flush` or `invalidate` fails here too. Both sides start with a pattern, not zeros.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pynq.buffer import PynqBuffer

__all__ = ["Allocation", "Dram", "SimulatedBuffer"]

PAGE = 4096
DRAM_PATTERN = 0xA5  #: what the overlay finds in memory that nobody has written
HOST_PATTERN = 0x5A  #: what the host finds in a buffer that it has neither written nor invalidated


@dataclass
class Lease:
    """Whether a stretch of DRAM still belongs to who allocated it."""

    offset: int
    size: int
    ended: bool = False


@dataclass
class Allocation:
    """A stretch of DRAM that belongs to one buffer, and the host's copy of it."""

    dram: np.ndarray
    host: np.ndarray
    lease: Lease

    def _range(self, offset: int, nbytes: int) -> slice:
        if self.lease.ended:
            raise RuntimeError("this buffer was freed; its memory may belong to another one now")
        return slice(offset, offset + nbytes)

    def flush(self, offset: int, nbytes: int) -> None:
        part = self._range(offset, nbytes)
        self.dram[part] = self.host[part]

    def invalidate(self, offset: int, nbytes: int) -> None:
        part = self._range(offset, nbytes)
        self.host[part] = self.dram[part]


@dataclass
class Dram:
    """All of the memory, as one array that the Verilated model reads and writes in place."""

    base: int
    size: int
    bytes: np.ndarray = field(init=False, repr=False)
    _free: list[tuple[int, int]] = field(init=False, repr=False)  # (offset, size), by offset

    def __post_init__(self) -> None:
        # Aligned, so that a wide beat never straddles a cache line.
        whole = np.full(self.size + PAGE, DRAM_PATTERN, np.uint8)
        start = -whole.ctypes.data % PAGE
        self.bytes = whole[start : start + self.size]
        self._free = [(0, self.size)]

    @property
    def free_bytes(self) -> int:
        return sum(size for _, size in self._free)

    def allocate(self, shape: Any, dtype: Any, *, coherent: bool, device: Any) -> SimulatedBuffer:
        """A pynq buffer; `coherent` ones look at the DRAM itself and need no synchronising."""
        nbytes = math.prod(np.atleast_1d(shape).tolist()) * np.dtype(dtype).itemsize
        lease = self._take(max(nbytes, 1))
        offset = lease.offset
        memory = self.bytes[offset : offset + nbytes]
        memory[:] = DRAM_PATTERN
        host = self.bytes[offset : offset + nbytes] if coherent else np.full(nbytes, HOST_PATTERN, np.uint8)
        allocation = Allocation(dram=memory, host=host, lease=lease)
        buffer = SimulatedBuffer(
            shape, dtype, buffer=host, device=device, device_address=self.base + offset, bo=allocation,
            coherent=coherent,
        )  # fmt: skip
        # Views keep `host` alive, so the stretch is given back with the last of them, or by freebuffer().
        buffer.release = weakref.finalize(host, self._give_back, lease)
        buffer.release.atexit = False
        return buffer

    def _take(self, nbytes: int) -> Lease:
        size = -(-nbytes // PAGE) * PAGE
        for index, (offset, available) in enumerate(self._free):
            if available >= size:
                self._free[index : index + 1] = (
                    [(offset + size, available - size)] if available > size else []
                )
                return Lease(offset=offset, size=size)
        raise RuntimeError(
            f"Allocate failed: {nbytes:,} bytes do not fit in the {self.free_bytes:,} that are free; free "
            "buffers, or give the simulated board more memory (dram_bytes)"
        )

    def _give_back(self, lease: Lease) -> None:
        lease.ended = True
        merged: list[tuple[int, int]] = []
        for start, length in sorted([*self._free, (lease.offset, lease.size)]):
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((start, length))
        self._free = merged


class SimulatedBuffer(PynqBuffer):
    """pynq's buffer, freed into the simulated DRAM. Views of it have no `release` and free nothing."""

    release: weakref.finalize | None = None

    def __del__(self) -> None:
        """Nothing: the finalizer outlives the buffer for as long as a view does."""

    def freebuffer(self) -> None:
        if self.release is not None:
            self.release()
