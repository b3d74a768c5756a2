"""A unit among registers: so that place-and-route times the unit and not the way to the pins."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Harness"]


class Harness(wiring.Component):
    """Every input bit of `unit` comes from a shift register, every output bit goes into another.

    Bits shift in from `serial_in`; a pulse of `load` hands them to the unit and takes its outputs, which
    shift out to `serial_out`. So no logic can be removed, and each path of the unit is between two registers.
    """

    serial_in: In(1)
    load: In(1)
    serial_out: Out(1)

    def __init__(self, unit: wiring.Component):
        self.unit = unit
        super().__init__()

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = self.unit
        inputs, outputs = [], []
        for path, member, value in self.unit.signature.flatten(self.unit):
            bits = Value.cast(value)
            wire = Signal(len(bits), name="_".join(map(str, path)))
            if member.flow is In:
                inputs.append(wire)
                m.d.comb += bits.eq(wire)
            else:
                outputs.append(wire)
                m.d.comb += wire.eq(bits)
        to_unit, from_unit = Cat(inputs), Cat(outputs)
        shifted_in, taken = Signal(max(len(to_unit), 1)), Signal(max(len(from_unit), 1))
        held = Signal(len(shifted_in))
        m.d.sync += [shifted_in.eq(Cat(self.serial_in, shifted_in)), taken.eq(taken >> 1)]
        with m.If(self.load):
            m.d.sync += [held.eq(shifted_in), taken.eq(from_unit)]
        m.d.comb += [to_unit.eq(held), self.serial_out.eq(taken[0])]
        return m
