"""Sums of many bits of equal or mixed weight, as heaps of counters instead of chains of adders.

A LUT6 counts six bits into one output bit, so a 6:3 counter turns six bits of one weight into three bits at
three LUTs. A heap of them sums N bits at a little over one LUT a bit, where a tree of carry chains spends
about two on operands this narrow. Combinational; the caller decides where registers go.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value

__all__ = ["CompressorHeap", "popcount_heap"]

#: Bits of one column that a counter takes, and the bits it gives. Larger ones first: they remove more a LUT.
COUNTERS = ((6, 3), (3, 2))


class CompressorHeap:
    """A sum under construction: bits are added to columns, then `total()` gives the sum.

    Constants are gathered apart; synthesis folds their bits into the counters that take them.
    """

    def __init__(self, m: Module, *, bits: int):
        if bits < 1:
            raise ValueError(f"bits must be at least 1, the width of the sum, not {bits!r}")
        self._m = m
        self._bits = bits
        self._columns: dict[int, list[Value]] = defaultdict(list)
        self._constant = 0

    def add_bit(self, bit: Value, *, weight: int = 0) -> None:
        """Add `bit` times 2**weight."""
        self._columns[weight].append(bit)

    def subtract_bit(self, bit: Value, *, weight: int = 0) -> None:
        """Subtract `bit` times 2**weight: -b = ~b - 1, and the inversion is free in a LUT."""
        self._columns[weight].append(~bit)
        self._constant -= 1 << weight

    def add_constant(self, constant: int) -> None:
        self._constant += constant

    def total(self) -> Value:
        """The sum modulo 2**bits; read it as signed where it can be negative."""
        columns = {weight: list(bits) for weight, bits in self._columns.items() if weight < self._bits}
        for weight in range(self._bits):
            if self._constant >> weight & 1:
                columns.setdefault(weight, []).append(Const(1, 1))
        while any(len(bits) > 2 for bits in columns.values()):
            columns = self._compress(columns)
        rows = [
            Cat(columns.get(weight, [])[row] if len(columns.get(weight, [])) > row else Const(0, 1)
                for weight in range(self._bits))
            for row in range(2)
        ]  # fmt: skip
        total = Signal(self._bits)
        self._m.d.comb += total.eq(rows[0] + rows[1])
        return total

    def _compress(self, columns: Mapping[int, Sequence[Value]]) -> dict[int, list[Value]]:
        """One level of counters. A column of two is left alone: the final adder takes it."""
        after: dict[int, list[Value]] = defaultdict(list)
        for weight, column in sorted(columns.items()):
            rest = list(column)
            for size, outputs in COUNTERS:
                while len(rest) >= size or (size == 6 and len(rest) >= 4):
                    taken, rest = rest[:size], rest[size:]
                    for carry, bit in enumerate(self._count(taken, outputs)):
                        if weight + carry < self._bits:
                            after[weight + carry].append(bit)
            after[weight].extend(rest)
        return after

    def _count(self, taken: Sequence[Value], outputs: int) -> list[Value]:
        """The number of ones among up to six bits, each output bit one table of those bits."""
        count = Signal(outputs)
        table = Array(Const(index.bit_count(), outputs) for index in range(1 << len(taken)))
        self._m.d.comb += count.eq(table[Cat(taken)])
        return list(count)


def popcount_heap(m: Module, bits: Value) -> Value:
    """The number of ones in `bits`."""
    heap = CompressorHeap(m, bits=len(bits).bit_length())
    for bit in bits:
        heap.add_bit(bit)
    return heap.total()
