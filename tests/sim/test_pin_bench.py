import numpy as np
import pytest
from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from sim.pin_bench import PinBench

ROW = data.StructLayout(
    {"ones": 16, "wide": data.StructLayout({"low": 40, "high": 40}), "fixed": 8, "control": 64}
)


class Counter(wiring.Component):
    """Counts the ones on the line and asks for a row at each; fields lie across the words of 64 bits."""

    def __init__(self, *, control_bits=64):
        super().__init__({"line": In(1), "control": In(control_bits), "record": Out(1), "row": Out(ROW)})

    def elaborate(self, platform):
        m = Module()
        ones = Signal(16)
        m.d.sync += ones.eq(ones + self.line)
        m.d.comb += [
            self.record.eq(self.line),
            self.row.ones.eq(ones),
            self.row.wide.low.eq(ones * 0x10001),
            self.row.wide.high.eq(Const(0xAB, 8) << 32 | ones),
            self.row.fixed.eq(0xC3),
            self.row.control.eq(self.control),
        ]
        return m


@pytest.fixture(scope="module")
def bench():
    bench = PinBench(Counter())
    yield bench
    bench.close()


def test_rows_come_from_the_cycles_that_ask_for_them(bench):
    bench.restart()
    bench.set_control(0x8123456789ABCDEF)
    line = np.array([0, 1, 1, 0, 0, 1], np.uint8)
    cycles, columns = bench.play(line)
    assert cycles.tolist() == [1, 2, 5]
    assert columns["ones"].tolist() == [0, 1, 2]
    assert columns["wide.low"].tolist() == [0, 0x10001, 0x20002]
    assert columns["wide.high"].tolist() == [0xAB << 32 | ones for ones in range(3)]
    assert columns["fixed"].tolist() == [0xC3] * 3
    assert columns["control"].tolist() == [0x8123456789ABCDEF] * 3
    # The next waveform goes on where this one ended, until a restart.
    cycles, columns = bench.play(line)
    assert cycles.tolist() == [7, 8, 11]
    assert columns["ones"].tolist() == [3, 4, 5]
    bench.restart()
    assert bench.play(line)[1]["ones"].tolist() == [0, 1, 2]


def test_more_rows_than_there_is_room_for_are_refused(bench):
    bench.restart()
    with pytest.raises(ValueError, match=r"4096 rows were recorded in 4096 cycles; there is room for 3072"):
        bench.play(np.ones(4096, np.uint8))


def test_a_control_port_of_another_width_is_refused():
    with pytest.raises(ValueError, match="64 bits wide, not 8"):
        PinBench(Counter(control_bits=8))
