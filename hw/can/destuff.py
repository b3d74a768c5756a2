"""De-stuffing: after five equal bits the sixth is there for the clocks of the receivers alone."""

from collections.abc import Iterable

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Destuffer", "StuffError", "destuff"]


class StuffError(ValueError):
    """Six equal bits where the sixth must differ."""


def destuff(bits: Iterable[int]) -> list[int]:
    """The bits without the stuffed ones; raises `StuffError` at a sixth equal bit."""
    kept: list[int] = []
    last, run = 1, 1
    for position, bit in enumerate(bits):
        if run == 5:
            if bit == last:
                raise StuffError(f"bit {position!r} is the sixth {bit!r} in a row")
            last, run = bit, 1
            continue
        run = run + 1 if bit == last else 1
        last = bit
        kept.append(bit)
    return kept


class Destuffer(wiring.Component):
    """Passes on the bits that carry information; no latency, one bit a cycle at most, no back-pressure.

    While `stuffed` is low every bit passes, save the one stuff bit still due from before: so the receiver
    lowers it right after the last CRC bit, whose stuff bit is dropped all the same.
    """

    sample: In(1)
    bit: In(1)
    #: Bits are counted from the first one sampled with this high or, for the first, from the one before it.
    stuffed: In(1)
    #: This bit is information.
    valid: Out(1)
    #: This bit ought to be a stuff bit and is not.
    error: Out(1)

    def elaborate(self, platform) -> Module:
        m = Module()
        run = Signal(range(6), init=1)
        last = Signal(init=1)
        due = run == 5
        with m.If(self.sample):
            m.d.comb += [self.valid.eq(~due), self.error.eq(due & (self.bit == last))]
            m.d.sync += [last.eq(self.bit), run.eq(1)]
            with m.If(self.stuffed & ~due & (self.bit == last)):
                m.d.sync += run.eq(run + 1)
        return m
