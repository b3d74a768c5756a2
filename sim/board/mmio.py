"""The array behind pynq's MMIO: every element read or written is an access on the bus."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

__all__ = ["TrapArray", "WordBus"]


class WordBus(Protocol):
    """What a host access ends up at."""

    def read_word(self, address: int) -> int: ...
    def write_word(self, address: int, value: int) -> None: ...


class TrapArray(NDArrayOperatorsMixin):
    """Behaves as the numpy view of /dev/mem that pynq has on a board.

    Not a subclass of ndarray, because numpy reads the memory of one without asking. A slice is a live view;
    nothing is read before an element, or the whole as an array, is asked for. Values that do not fit are
    treated as by numpy.
    """

    def __init__(self, bus: WordBus, address: int, length: int, dtype: Any = np.uint32):
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.dtype("u4"), np.dtype("u8")):
            raise ValueError(
                f"registers are words of 32 or 64 bits; a view as {self.dtype} is not possible here"
            )
        self._bus, self._address = bus, address
        self._elements = range(length)
        self._scratch = np.zeros(1, self.dtype)

    def __len__(self) -> int:
        return len(self._elements)

    @property
    def shape(self) -> tuple[int]:
        return (len(self),)

    @property
    def nbytes(self) -> int:
        return len(self) * self.dtype.itemsize

    def view(self, dtype: Any = np.uint32) -> TrapArray:
        dtype = np.dtype(dtype)
        return TrapArray(self._bus, self._address, self.nbytes // dtype.itemsize, dtype)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            picked = self._elements[index]
            if picked.step != 1:
                return np.array([self._read(i) for i in picked], self.dtype)
            start = self._address + picked.start * self.dtype.itemsize
            return TrapArray(self._bus, start, len(picked), self.dtype)
        return self._read(self._checked(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(index, slice):
            self._write(self._checked(index), value)
            return
        picked = self._elements[index]
        for i, word in zip(picked, np.broadcast_to(np.asarray(value), len(picked)), strict=True):
            self._write(i, word)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array([self._read(i) for i in self._elements], dtype or self.dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        read = [np.asarray(value) if isinstance(value, TrapArray) else value for value in inputs]
        return getattr(ufunc, method)(*read, **options)

    def _checked(self, index: Any) -> int:
        try:
            return self._elements[index]
        except IndexError:
            raise IndexError(f"index {index} is out of bounds for axis 0 with size {len(self)}") from None

    def _read(self, index: int) -> np.unsignedinteger:
        address = self._address + index * self.dtype.itemsize
        value = self._bus.read_word(address)
        if self.dtype.itemsize == 8:
            value |= self._bus.read_word(address + 4) << 32
        return self.dtype.type(value)

    def _write(self, index: int, value: Any) -> None:
        self._scratch[0] = value
        word = int(self._scratch[0])
        address = self._address + index * self.dtype.itemsize
        self._bus.write_word(address, word & 0xFFFF_FFFF)
        if self.dtype.itemsize == 8:
            self._bus.write_word(address + 4, word >> 32)
