"""What each layer cost: counters, kept for every layer when it ends, and read by the host afterwards."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["EVENTS", "LAYERS_MAX", "WORDS", "Profile"]

#: Cycles counted, by cause.
EVENTS = ("cycles", "busy", "wait_load", "wait_store", "wait_drain", "read_beats", "write_beats")
#: Words of an entry: the events, and one that is always zero.
WORDS = 8
LAYERS_MAX = 256


class Profile(wiring.Component):
    """Count `events` since `start`; `keep` writes all counters as entry `index`. `entry` selects one to read.

    A read is valid two cycles after `entry`. Entries are running totals: the host takes differences.
    """

    def __init__(self):
        super().__init__(
            {
                "events": In(len(EVENTS)),
                "start": In(1),
                "keep": In(1),
                "index": In(8),
                "entry": In(8),
                "word": Out(data.ArrayLayout(32, WORDS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        counters = [Signal(32, name=name) for name in EVENTS]
        m.submodules.entries = entries = memory.Memory(shape=32 * WORDS, depth=LAYERS_MAX, init=())
        write, read = entries.write_port(), entries.read_port()
        for counter, event in zip(counters, self.events, strict=True):
            m.d.sync += counter.eq(counter + event)
            with m.If(self.start):
                m.d.sync += counter.eq(0)
        m.d.comb += [
            write.addr.eq(self.index),
            write.en.eq(self.keep),
            write.data.eq(Cat(counters)),
            read.addr.eq(self.entry),
            read.en.eq(1),
        ]
        m.d.sync += self.word.as_value().eq(read.data)
        return m
