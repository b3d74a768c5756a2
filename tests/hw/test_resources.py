"""Counting primitives."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.resources import Area, area


class Adder(wiring.Component):
    """Ports whose elements are named with brackets, as yosys names bits."""

    def __init__(self):
        layout = data.ArrayLayout(8, 2)
        super().__init__({"i": In(layout), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.i[0] + self.i[1])
        return m


def test_an_adder_with_a_register():
    made = area(Adder())
    assert (made.lut, made.ff, made.carry, made.dsp, made.ramb36) == (8, 8, 2, 0, 0)


class Pair(wiring.Component):
    i: In(data.ArrayLayout(8, 2))
    o: Out(8)
    p: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.first, m.submodules.second = units = Adder(), Adder()
        for unit, port in zip(units, (self.o, self.p), strict=True):
            m.d.comb += [unit.i.eq(self.i), port.eq(unit.o)]
        return m


def test_modules_can_be_counted_apart():
    assert area(Pair(), apart="*.second").lut == area(Adder()).lut
    with pytest.raises(RuntimeError, match="could not synthesise Pair"):
        area(Pair(), apart="*.third")


def test_every_kind_of_primitive_counts():
    cells = {"LUT6": 2, "LUT2": 1, "LUT6_2": 1, "RAM64M": 2, "SRL16E": 1, "FDRE": 5, "FDSE": 1, "RAMB18E1": 1,
             "RAMB36E1": 2, "DSP48E1": 1, "CARRY4": 4, "BUFG": 1, "MUXF7": 9}  # fmt: skip
    assert Area.of_cells(cells) == Area(lut=13, lutram=9, ff=6, ramb36=2.5, dsp=1, carry=4)


def test_what_is_unknown_is_refused():
    with pytest.raises(ValueError, match=r"family must be one of .* not 'ice40'"):
        area(Adder(), "ice40")
    with pytest.raises(ValueError, match=r"no size known for the memory primitives \['RAM7X9'\]"):
        Area.of_cells({"RAM7X9": 1})
