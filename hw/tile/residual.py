"""The other operand of a sum of maps, and the adders through which finished rows leave."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.ternary_add import TernaryAdd
from hw.tile.preset import Preset

__all__ = ["OFFSET_BITS", "SUM", "Residual"]

OFFSET_BITS = 10
#: What is done to a row. One that shall pass as it is adds nothing, and is clipped to 0 and 255.
SUM = data.StructLayout({"offset": signed(OFFSET_BITS), "halves": 1, "low": 8, "high": 8})


class Residual(wiring.Component):
    """`sum` is, of each byte of `word`, `clip(round_half_even((byte + other + offset) / d))`.

    The other byte is of the row word that was at `addr` two cycles before `word`, as row slots answer, or
    zero without `adds`, a cycle before `word`. `how` comes with `word`, and `d` is 2 with `halves`, else 1.
    Latency `LATENCY_CYCLES` from `word` to `sum`, no back-pressure. With `technology`, see `TernaryAdd`.
    """

    LATENCY_CYCLES = 2

    def __init__(self, preset: Preset, *, technology: str | None = None):
        self.preset, self._technology = preset, technology
        slots = range(preset.row_slots * preset.row_words)
        super().__init__(
            {
                "write": In(1),
                "write_addr": In(slots),
                "write_data": In(preset.bus_bits),
                "addr": In(slots),
                "adds": In(1),
                "word": In(preset.bus_bits),
                "how": In(SUM),
                "sum": Out(preset.bus_bits),
            }
        )

    @staticmethod
    def compute(byte: int, other: int, *, offset: int, halves: bool, low: int, high: int) -> int:
        """The golden twin."""
        total = byte + other + offset
        if halves:
            total = (total >> 1) + (total & 1 & total >> 1)
        return max(low, min(high, total))

    def elaborate(self, platform) -> Module:
        m = Module()
        preset = self.preset
        m.submodules.rows = rows = memory.Memory(
            shape=preset.bus_bits, depth=preset.row_slots * preset.row_words, init=()
        )
        write, read = rows.write_port(), rows.read_port()
        other = Signal(preset.bus_bits, reset_less=True)
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            read.addr.eq(self.addr),
            read.en.eq(1),
        ]
        how = data.View(SUM, Signal(SUM.size, name="how_later"))
        m.d.sync += [other.eq(Mux(self.adds, read.data, 0)), how.as_value().eq(self.how.as_value())]
        sums = []
        for lane in range(preset.channels):
            byte, added = self.word.word_select(lane, 8), other.word_select(lane, 8)
            total = Signal(signed(OFFSET_BITS + 1), name=f"total_{lane}", reset_less=True)
            m.submodules[f"add_{lane}"] = adder = TernaryAdd(
                bits=(8, 8, len(total)), technology=self._technology
            )
            m.d.comb += [
                adder.a.eq(byte),
                adder.b.eq(added),
                adder.c.eq(self.how.offset),
            ]
            m.d.sync += total.eq(adder.total)
            sums.append(self._finished(m, total, how, lane))
        m.d.sync += self.sum.eq(Cat(sums))
        return m

    def _finished(self, m: Module, total: Value, how, lane: int) -> Value:
        halved = Signal(signed(OFFSET_BITS + 1), name=f"halved_{lane}")
        m.d.comb += halved.eq(Mux(how.halves, total >> 1, total) + (how.halves & total[0] & total[1]))
        return Mux(halved < how.low, how.low, Mux(halved > how.high, how.high, halved[:8]))
