"""Memories of weights and thresholds that are read in operation and written word by word while loading."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from models.program.pipeline_shape import IMAGE_WORD_BITS, Bank

__all__ = ["BankMemory", "LoadSignature"]


class LoadSignature(wiring.Signature):
    """One bus to all banks of a pipeline: `data` goes to row `row` of slice `slice` of them all."""

    def __init__(self, banks: Sequence[Bank]):
        slices = sum(bank.slices for bank in banks)
        super().__init__(
            {
                "slice": Out(range(max(2, slices))),
                "row": Out(range(max(2, *(bank.depth for bank in banks)))),
                "data": Out(IMAGE_WORD_BITS),
                "write": Out(1),
            }
        )


class BankMemory(wiring.Component):
    """One bank of a pipeline's `banks`, read with one cycle of latency while `enable` is high.

    `data` stays while `enable` is low. A row that is written while it is read reads as undefined; pipelines
    give no verdict while weights are being loaded. A memory, and so a LUT or block RAM, for each 32 bits.
    """

    LATENCY_CYCLES = 1

    def __init__(self, *, banks: Sequence[Bank], name: str, rows: Sequence[int] | None = None):
        names = [bank.name for bank in banks]
        if name not in names:
            raise ValueError(f"the pipeline has no bank {name!r}, only {names!r}")
        at = names.index(name)
        self.bank = banks[at]
        self.first_slice = sum(bank.slices for bank in banks[:at])
        if rows is not None and len(rows) != self.bank.depth:
            raise ValueError(f"bank {name!r} has {self.bank.depth} rows, not {len(rows)}")
        self._rows = list(rows) if rows is not None else [0] * self.bank.depth
        super().__init__(
            {
                "address": In(range(max(2, self.bank.depth))),
                "enable": In(1),
                "data": Out(self.bank.width),
                "load": In(LoadSignature(banks)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        parts = []
        for index in range(self.bank.slices):
            low = index * IMAGE_WORD_BITS
            width = min(IMAGE_WORD_BITS, self.bank.width - low)
            init = [row >> low & (1 << width) - 1 for row in self._rows]
            memory = Memory(shape=width, depth=self.bank.depth, init=init)
            m.submodules[f"slice{index}"] = memory
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [
                write.addr.eq(self.load.row),
                write.data.eq(self.load.data),
                write.en.eq(self.load.write & (self.load.slice == self.first_slice + index)),
                read.addr.eq(self.address),
                read.en.eq(self.enable),
            ]
            parts.append(read.data)
        m.d.comb += self.data.eq(Cat(parts))
        return m
