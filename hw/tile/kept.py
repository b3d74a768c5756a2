"""The memory of the maps that stay on chip: rows go in from the storer and come out for the loader."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.tile.preset import Preset

__all__ = ["KEPT_ADDR_BITS", "RUN", "KeptMaps"]

KEPT_ADDR_BITS = 16
#: Words that lie one after another.
RUN = data.StructLayout({"addr": KEPT_ADDR_BITS, "words": 12})


class KeptMaps(wiring.Component):
    """Read runs of words, in the order in which they are asked for; write a word a cycle meanwhile.

    The first word of a run comes 3 cycles after it was asked for, then one a cycle, and the next run's first
    two cycles after the last. Full back-pressure. Runs have at least one word.
    """

    LATENCY_CYCLES = 3

    def __init__(self, preset: Preset):
        self._depth = preset.kept_words
        super().__init__(
            {
                "write": In(1),
                "write_addr": In(KEPT_ADDR_BITS),
                "write_data": In(preset.bus_bits),
                "request": In(stream.Signature(RUN)),
                "data": Out(stream.Signature(preset.bus_bits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.words = words = memory.Memory(shape=len(self.write_data), depth=self._depth, init=())
        write, read = words.write_port(), words.read_port()
        addr, left, latched, moves = Signal(KEPT_ADDR_BITS), Signal(12), Signal(), Signal()
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            read.addr.eq(addr),
            read.en.eq(moves),
            moves.eq(~self.data.valid | self.data.ready),
            self.request.ready.eq(left == 0),
        ]
        with m.If(moves):
            # The register that block memories have behind their latch.
            m.d.sync += [
                latched.eq(left != 0),
                self.data.valid.eq(latched),
                self.data.payload.eq(read.data),
            ]
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += [addr.eq(self.request.payload.addr), left.eq(self.request.payload.words)]
        with m.Elif(moves & (left != 0)):
            m.d.sync += [addr.eq(addr + 1), left.eq(left - 1)]
        return m
