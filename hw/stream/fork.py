"""One stream to several takers, each at its own pace."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Fork"]


class Fork(wiring.Component):
    """Give every item to each of `n` branches exactly once; a fast branch does not wait for a slow one.

    Latency 0 cycles, initiation interval 1 cycle. Full back-pressure: an item is taken from the source when
    the last branch takes it. `i.ready` follows `o[k].ready` within the cycle and `o[k].valid` follows
    `i.valid`.
    """

    LATENCY_CYCLES = 0
    INTERVAL_CYCLES = 1

    def __init__(self, *, shape, n: int):
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"n of a Fork, its number of branches, must be a positive integer, not {n!r}")
        self.n = n
        super().__init__(
            {"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)).array(n)},
        )

    def compute(self, items: Iterable) -> list[list]:
        """The golden twin: what each branch gets."""
        taken = list(items)
        return [list(taken) for _ in range(self.n)]

    def elaborate(self, platform) -> Module:
        m = Module()
        # Which branches have had the item that still waits for the others.
        served = Signal(self.n)
        takes = Signal(self.n)
        m.d.comb += [
            takes.eq(served | Cat(branch.ready for branch in self.o)),
            self.i.ready.eq(takes.all()),
        ]
        with m.If(self.i.valid):
            m.d.sync += served.eq(takes & ~self.i.ready.replicate(self.n))
        for branch, had in zip(self.o, served, strict=True):
            m.d.comb += [branch.payload.eq(self.i.payload), branch.valid.eq(self.i.valid & ~had)]
        return m
