"""Bytes to an asynchronous serial line: eight bits, no parity, one stop bit."""

from amaranth.hdl import C, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["UartTransmitter"]


class UartTransmitter(wiring.Component):
    """One byte takes `BITS` times `bit_cycles` cycles; the line changes a cycle after a byte is taken.

    Full back-pressure. The line rests high, also in reset.
    """

    BITS = 10

    def __init__(self, *, bit_cycles: int):
        if bit_cycles < 2:
            raise ValueError(f"bit_cycles of a UART must be at least 2, not {bit_cycles!r}")
        self._bit_cycles = bit_cycles
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        shift = Signal(self.BITS - 1)  # the bits after the one on the line
        left = Signal(range(self.BITS + 1))
        timer = Signal(range(self._bit_cycles))
        m.d.comb += self.bytes.ready.eq(left == 0)
        with m.If(left == 0), m.If(self.bytes.valid):
            m.d.sync += [
                self.tx.eq(0),
                shift.eq(Cat(self.bytes.payload, C(1, 1))),
                left.eq(self.BITS),
                timer.eq(self._bit_cycles - 1),
            ]
        with m.Elif(timer == 0):
            m.d.sync += [
                self.tx.eq(shift[0]),
                shift.eq(Cat(shift[1:], C(1, 1))),
                left.eq(left - 1),
                timer.eq(self._bit_cycles - 1),
            ]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m
