"""What each layer cost: counters, added up for every layer when a stretch of it ends, and read afterwards."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["EVENTS", "LAYERS_MAX", "WORDS", "Profile"]

#: Cycles counted, by cause.
EVENTS = ("cycles", "busy", "wait_load", "wait_store", "wait_drain", "read_beats", "write_beats")
#: Words of an entry: the events, and one that is always zero.
WORDS = 8
LAYERS_MAX = 256


class Profile(wiring.Component):
    """Count `events`; `keep` adds all counts since the last one to entry `index`, or with `first` sets it.

    `keep` comes every fourth cycle at most. `entry` selects an entry to read, valid two cycles later while
    nothing is kept.
    """

    def __init__(self):
        super().__init__(
            {
                "events": In(len(EVENTS)),
                "start": In(1),
                "keep": In(1),
                "first": In(1),
                "index": In(8),
                "entry": In(8),
                "word": Out(data.ArrayLayout(32, WORDS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        counters = [Signal(32, name=name) for name in EVENTS]
        counted = [Signal(32, name=f"{name}_counted") for name in EVENTS]
        m.submodules.entries = entries = memory.Memory(shape=32 * WORDS, depth=LAYERS_MAX, init=())
        write, read = entries.write_port(), entries.read_port()
        index, first, steps = Signal(8), Signal(), Signal(2)
        for counter, total, event in zip(counters, counted, self.events, strict=True):
            m.d.sync += counter.eq(counter + event)
            with m.If(self.keep):
                m.d.sync += [total.eq(counter), counter.eq(event)]
            with m.If(self.start):
                m.d.sync += counter.eq(0)
        with m.If(self.keep):
            m.d.sync += [index.eq(self.index), first.eq(self.first)]
        m.d.sync += steps.eq(Cat(self.keep, steps))
        before = [read.data.word_select(place, 32) & ~first.replicate(32) for place in range(len(EVENTS))]
        m.d.comb += [
            read.addr.eq(Mux(steps[0], index, self.entry)),
            read.en.eq(1),
            write.addr.eq(index),
            write.en.eq(steps[1]),
            write.data.eq(Cat((a + b)[:32] for a, b in zip(counted, before, strict=True))),
        ]
        m.d.sync += self.word.as_value().eq(read.data)
        return m
