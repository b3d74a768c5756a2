"""A two-entry buffer that cuts every combinational path of a stream, at full rate."""

from collections.abc import Iterable

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """Pass items on unchanged, with registers in both directions.

    Latency 1 cycle, initiation interval 1 cycle. Full back-pressure; holds two items. `o.valid`, `o.payload`
    and `i.ready` all come straight from registers: put one wherever a handshake limits the clock.
    """

    LATENCY_CYCLES = 1
    INTERVAL_CYCLES = 1

    def __init__(self, *, shape):
        self._shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    @staticmethod
    def compute(items: Iterable) -> list:
        """The golden twin: what goes in comes out."""
        return list(items)

    def elaborate(self, platform) -> Module:
        m = Module()
        # The item that arrives while the output is stalled; the source sees `ready` fall one cycle late.
        skid = Signal(self._shape)
        skid_valid = Signal()
        m.d.comb += self.i.ready.eq(~skid_valid)

        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid | skid_valid), skid_valid.eq(0)]
            with m.If(skid_valid):
                m.d.sync += self.o.payload.eq(skid)
            with m.Else():
                m.d.sync += self.o.payload.eq(self.i.payload)
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [skid.eq(self.i.payload), skid_valid.eq(1)]
        return m
