"""A running sum of everything that passes, so that two ends of a transfer can be compared."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.stream.packet import ByteBeat

__all__ = ["Checksum"]

WORD_BITS = 32


class Checksum(wiring.Component):
    """Pass beats on and add up their bytes as little-endian 32-bit words, modulo 2**32.

    The stream passes through without delay; `total` follows `LATENCY_CYCLES` after a beat was taken. A
    partial word counts with zeros above. `clear` starts a new sum, and wins over a beat of the same cycle.
    """

    LATENCY_CYCLES = 2
    INTERVAL_CYCLES = 1

    def __init__(self, *, data_bits: int):
        if data_bits < WORD_BITS or data_bits % WORD_BITS:
            raise ValueError(f"data_bits must be a positive multiple of {WORD_BITS}, not {data_bits!r}")
        self.data_bits = data_bits
        super().__init__(
            {
                "i": In(stream.Signature(ByteBeat(data_bits))),
                "o": Out(stream.Signature(ByteBeat(data_bits))),
                "clear": In(1),
                "total": Out(WORD_BITS),
            }
        )

    @staticmethod
    def compute(message: bytes) -> int:
        """The golden twin, over all the bytes of a transfer."""
        words = (message[at : at + 4] for at in range(0, len(message), 4))
        return sum(int.from_bytes(word, "little") for word in words) % (1 << WORD_BITS)

    def elaborate(self, platform) -> Module:
        m = Module()
        beat = self.i.payload
        m.d.comb += [
            self.o.payload.eq(beat),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
        ]
        kept = Cat(Mux(keep, beat.data.word_select(lane, 8), 0) for lane, keep in enumerate(beat.keep))
        words = [kept.word_select(index, WORD_BITS) for index in range(self.data_bits // WORD_BITS)]
        # Two registers: the words of a beat are summed in one cycle and added to the total in the next.
        beat_sum = Signal(WORD_BITS)
        m.d.sync += beat_sum.eq(Mux(self.i.valid & self.i.ready, sum(words), 0))
        m.d.sync += self.total.eq(self.total + beat_sum)
        with m.If(self.clear):
            m.d.sync += [beat_sum.eq(0), self.total.eq(0)]
        return m
