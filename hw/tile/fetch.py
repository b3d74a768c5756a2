"""Instructions from memory to the units that carry them out."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.stream import ByteBeat, Fifo
from hw.tile.instruction import BITS, Opcode

__all__ = ["BURST_BEATS", "OUTSTANDING", "UNITS", "Fetch"]

#: How instructions are read: in short bursts, for loads wait behind them.
BURST_BEATS = 8
OUTSTANDING = 4
#: Opcodes of each unit's queue: loader, sequencer, storer.
UNITS = (
    (Opcode.LOAD_FEATURES, Opcode.LOAD_WEIGHTS),
    (Opcode.COMPUTE, Opcode.LAYER),
    (Opcode.STORE,),
)


class Fetch(wiring.Component):
    """Assemble instructions from beats, check them, and queue each for its unit.

    An instruction of which the check byte or the opcode is wrong raises `illegal`, with its `number`, and
    stops the fetching until a reset. `end` rises with END and stays.
    """

    def __init__(self, *, bus_bits: int, depth: int):
        self._bus_bits, self._depth = bus_bits, depth
        super().__init__(
            {
                "i": In(stream.Signature(ByteBeat(bus_bits))),
                "units": Out(stream.Signature(BITS)).array(len(UNITS)),
                "start": In(1),
                "illegal": Out(1),
                "number": Out(24),
                "end": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        beats = BITS // self._bus_bits
        word = Signal(BITS)
        count = Signal(range(beats + 1))
        stopped = Signal()
        sound, accepted = Signal(), Signal()
        full = count == beats
        check = Signal(8)
        m.d.comb += [
            check.eq(_folded(word)),
            self.i.ready.eq(~full | accepted | stopped | self.end),
        ]
        queues = [Fifo(shape=BITS, depth=self._depth) for _ in UNITS]
        m.d.comb += sound.eq(full & (check == 0) & ~stopped & ~self.end)
        known = Signal()
        for queue, unit, opcodes, name in zip(
            queues, self.units, UNITS, ("load", "compute", "store"), strict=True
        ):
            m.submodules[name] = queue
            wiring.connect(m, queue.o, wiring.flipped(unit))
            mine = Signal(name=f"is_{name}")
            m.d.comb += [
                mine.eq(Cat(word[:8] == opcode for opcode in opcodes).any()),
                queue.i.payload.eq(word),
                queue.i.valid.eq(sound & mine),
            ]
            with m.If(sound & mine):
                m.d.comb += [known.eq(1), accepted.eq(queue.i.ready)]
        with m.If(sound & (word[:8] == Opcode.END)):
            m.d.comb += [known.eq(1), accepted.eq(1)]
            m.d.sync += self.end.eq(1)
        m.d.comb += self.empty.eq(Cat(queue.level == 0 for queue in queues).all())
        with m.If(full & ~known & ~stopped & ~self.end):
            m.d.comb += self.illegal.eq(1)
            m.d.sync += stopped.eq(1)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += word.eq(Cat(word[self._bus_bits :], self.i.payload.data))
        with m.If(accepted):
            m.d.sync += [count.eq(self.i.valid), self.number.eq(self.number + 1)]
        with m.Elif(self.i.valid & ~full):
            m.d.sync += count.eq(count + 1)
        with m.If(self.start):
            m.d.sync += [count.eq(0), self.number.eq(0), self.end.eq(0)]
        return m


def _folded(word: Signal):
    value = word[:8]
    for byte in range(1, BITS // 8):
        value = value ^ word.word_select(byte, 8)
    return value
