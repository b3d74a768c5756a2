import pytest
from amaranth.hdl import Signal
from amaranth.lib.wiring import In, Out

from hw.bus.register_map import Access, Field, Register
from hw.overlay.base import Overlay


class Tally(Overlay):
    """A job counts down from LENGTH; `hold` stops it; it cannot be reset before its last cycle."""

    def __init__(self, *, name="tally", steps=1, memory_data_bits=64, memory_ports=1):
        self._steps = steps
        super().__init__(
            name=name,
            version=(2, 7),
            errors=("early", "late"),
            interrupts=("done", "half"),
            stalls=("held",),
            memory_data_bits=memory_data_bits,
            memory_ports=memory_ports,
            registers=(
                Register(
                    name="CONTROL",
                    doc="Starts and breaks.",
                    fields=(
                        Field(name="START", access=Access.PULSE, doc="Begin."),
                        Field(name="BREAK", bits=2, access=Access.PULSE, doc="Raise `early`, `late`."),
                    ),
                ),
                Register.word("LENGTH", bits=16, reset=10, doc="Cycles of a job."),
                Register.word("LEFT", bits=16, access=Access.READ_ONLY, doc="What is left of it."),
            ),
            pins={"hold": In(1), "light": Out(4)},
        )

    def build(self, m, shell):
        left, registers = Signal(16), shell.registers
        with m.If(registers.control_start & ~shell.flush):
            m.d.sync += left.eq(registers.length)
        with m.Elif((left != 0) & ~self.hold):
            m.d.sync += left.eq(left - self._steps)
        m.d.comb += [
            registers.left.eq(left),
            self.light.eq(left),
            shell.busy.eq(left != 0),
            shell.idle.eq(left <= self._steps),  # so `done` meets a reset
            shell.progress.eq(~self.hold),
            shell.interrupts["done"].eq((left == self._steps) & ~self.hold),
            shell.interrupts["half"].eq((left == registers.length >> 1) & (left != 0) & ~self.hold),
            shell.errors["early"].raised.eq(registers.control_break[0]),
            shell.errors["early"].addr.eq(0x12_3456_7890),
            shell.errors["late"].raised.eq(registers.control_break[1]),
            shell.errors["late"].addr.eq(0x77),
            shell.stalls["held"].eq(self.hold & (left != 0)),
        ]


@pytest.fixture(scope="session")
def tally():
    """The class of a small overlay that has one of everything."""
    return Tally
