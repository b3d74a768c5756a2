"""The CRC of classical CAN: x^15 + x^14 + x^10 + x^8 + x^7 + x^4 + x^3 + 1, from zero, bit by bit."""

from collections.abc import Iterable

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["POLYNOMIAL", "Crc15", "crc15"]

POLYNOMIAL = 0x4599


def crc15(bits: Iterable[int], *, state: int = 0) -> int:
    """The register after `bits`; over a frame and its own CRC it ends at zero."""
    for bit in bits:
        feedback = bit ^ state >> 14
        state = state << 1 & 0x7FFF ^ (POLYNOMIAL if feedback else 0)
    return state


class Crc15(wiring.Component):
    """Divides the bits it is given, one a cycle, `state` a cycle behind; takes a bit whenever `valid`.

    `clear` goes before `valid`. `matches` looks one bit ahead: it is high, in the same cycle, if the `bit` at
    the input brings the register to zero.
    """

    clear: In(1)
    valid: In(1)
    bit: In(1)
    state: Out(15)
    matches: Out(1)

    def elaborate(self, platform) -> Module:
        m = Module()
        feedback = self.bit ^ self.state[14]
        # The polynomial is odd: feedback would leave a one. So all that has to be zero is what was there
        # before, and whether it is gets known a cycle earlier: much hangs on `matches`.
        rest_is_zero = Signal(init=1)
        m.d.comb += self.matches.eq(rest_is_zero & ~feedback)
        with m.If(self.clear):
            m.d.sync += [self.state.eq(0), rest_is_zero.eq(1)]
        with m.Elif(self.valid):
            m.d.sync += [
                self.state.eq((self.state << 1)[:15] ^ Mux(feedback, POLYNOMIAL, 0)),
                rest_is_zero.eq(~feedback & (self.state[:13] == 0)),
            ]
        return m
