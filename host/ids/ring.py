"""The ring of verdict records that the overlay writes and the host empties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pynq import allocate

from host.ids.records import VERDICT

if TYPE_CHECKING:
    from host.ids.driver import Ids

__all__ = ["Ring"]

COUNT_MASK = 0xFFFF_FFFF  #: head and tail count for ever, in words of 32 bits


class Ring:
    """Memory for `records`, a power of two; head and tail are counts since the reset."""

    def __init__(self, ip: Ids, *, records: int):
        if records < 2 or records & records - 1:
            raise ValueError(f"the ring holds a power of two of records, not {records!r}")
        self.records = records
        self._ip = ip
        self._memory = allocate(records * VERDICT.itemsize, np.uint8)
        self._view = np.asarray(self._memory).view(VERDICT)
        self._tail = 0
        self._memory.flush()  # no stale line of the cache may be written over what the overlay writes

    def attach(self) -> None:
        """Tell the overlay, which has just been reset, where the ring is; it is empty then."""
        self._ip.write_address("RING", self._memory.device_address)
        self._ip.write_word("RING_SIZE", self.records)
        self._tail = self.head
        self._ip.write_word("RING_TAIL", self._tail)

    @property
    def head(self) -> int:
        return self._ip.read_word("RING_HEAD")

    @property
    def pending(self) -> int:
        """Records that wait to be taken."""
        count = self.head - self._tail & COUNT_MASK
        if count > self.records:
            raise RuntimeError(
                f"{self._ip.name}: the ring of {self.records} records holds {count}, so its tail is not "
                "where this driver left it; does another process use the overlay?"
            )
        return count

    def take(self, most: int | None = None) -> np.ndarray:
        """A copy of what waits, oldest first, whose place the overlay may then use again."""
        count = self.pending if most is None else min(self.pending, most)
        if not count:
            return np.zeros(0, VERDICT)
        first = self._tail % self.records
        until_end = min(count, self.records - first)
        parts = [self._part(first, until_end)]
        if until_end < count:
            parts.append(self._part(0, count - until_end))
        taken = np.concatenate(parts)
        self._tail = self._tail + count & COUNT_MASK
        self._ip.write_word("RING_TAIL", self._tail)
        return taken

    def _part(self, first: int, count: int) -> np.ndarray:
        size = VERDICT.itemsize
        self._memory[first * size : (first + count) * size].invalidate()
        return self._view[first : first + count]

    def free(self) -> None:
        self._view = np.zeros(0, VERDICT)
        self._memory.freebuffer()
