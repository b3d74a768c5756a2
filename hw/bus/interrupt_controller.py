"""An interrupt controller with the registers of Xilinx's `axi_intc`, which pynq and Linux can drive."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import AXI4Lite, Response
from hw.bus.axi_lite import AXI4LiteWords, write_is_aligned
from hw.bus.register_map import Access, Field, Register, RegisterMap

__all__ = ["INTERRUPT_REGISTERS", "InterruptController", "InterruptControllerModel"]

NO_INTERRUPT = 0xFFFF_FFFF  #: what IVR reads when nothing is pending


def _word(name: str, doc: str, access: Access = Access.READ_WRITE) -> Register:
    return Register.word(name, access=access, doc=doc)


#: Names and order as in Xilinx PG099.
INTERRUPT_REGISTERS = RegisterMap(
    name="axi_intc",
    items=(
        _word(
            "ISR", "Interrupts that are active, a bit each. A one written before HIE sets a bit by software."
        ),
        _word("IPR", "Active and enabled.", Access.READ_ONLY),
        _word("IER", "Enabled."),
        _word("IAR", "A one written acknowledges: the latched bit falls.", Access.PULSE),
        _word("SIE", "A one written enables.", Access.PULSE),
        _word("CIE", "A one written disables.", Access.PULSE),
        _word("IVR", "Number of the lowest pending interrupt, all ones for none.", Access.READ_ONLY),
        Register(
            name="MER",
            doc="Master enable.",
            fields=(
                Field(name="ME", doc="Lets the output rise."),
                Field(name="HIE", doc="Lets the inputs in; stays until reset once set."),
            ),
        ),
    ),
)


class InterruptController(wiring.Component):
    """Gathers `inputs` into one level output, `interrupt`.

    An input whose bit in `edges` is set is latched when it rises, until acknowledged. The others are levels:
    their bit in ISR follows the input, acknowledged or not, so a level that is gone leaves nothing behind
    (Xilinx's controller would latch it once more, and wake a waiter for nothing). Inputs count once HIE is
    set; an edge before that is lost. The output follows the inputs in two cycles. Register timing and
    refusals are those of `AXI4LiteWords`; offsets from 0x20 on are refused.
    """

    INPUT_LATENCY = 2

    def __init__(self, *, inputs: int, edges: int = 0):
        if not 1 <= inputs <= 32:
            raise ValueError(f"inputs must be in 1 .. 32, not {inputs!r}")
        if not 0 <= edges < 1 << inputs:
            raise ValueError(f"edges must be a mask of {inputs} inputs, not {edges!r}")
        self._edges = edges
        super().__init__({"bus": In(AXI4Lite(addr_bits=12)), "inputs": In(inputs), "interrupt": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.words = words = AXI4LiteWords(words=len(INTERRUPT_REGISTERS.registers), addr_bits=12)
        wiring.connect(m, wiring.flipped(self.bus), words.bus)
        count = len(self.inputs)
        edges = Const(self._edges, count)
        level, before, latched, enabled = (Signal(count) for _ in range(4))
        master_enable, hardware_enable = Signal(), Signal()

        ones = {}  # the bits written as one, where the register of that name is written
        written = {}
        for index, register in enumerate(INTERRUPT_REGISTERS.registers):
            hit = words.write & (words.write_index == index)
            written[register.name] = Mux(hit, words.write_mask, 0)
            ones[register.name] = (words.write_data & written[register.name])[:count]

        hardware = hardware_enable.replicate(count)
        m.d.sync += [
            before.eq(self.inputs),
            level.eq(self.inputs & ~edges & hardware),
            latched.eq(
                (latched & ~ones["IAR"])
                | (self.inputs & ~before & edges & hardware)
                | (ones["ISR"] & ~hardware)
            ),
            enabled.eq((((enabled & ~written["IER"]) | ones["IER"]) | ones["SIE"]) & ~ones["CIE"]),
        ]
        with m.If(written["MER"][0]):
            m.d.sync += [master_enable.eq(words.write_data[0])]
            with m.If(words.write_data[1]):
                m.d.sync += hardware_enable.eq(1)

        active = level | latched
        pending = active & enabled
        m.d.sync += self.interrupt.eq(pending.any() & master_enable)
        lowest = Const(NO_INTERRUPT, 32)
        for number in reversed(range(count)):
            lowest = Mux(pending[number], number, lowest)
        master = Cat(master_enable, hardware_enable)
        reads = {"ISR": active, "IPR": pending, "IER": enabled, "IVR": lowest, "MER": master}
        zero = Const(0, 32)
        answer = Signal(32)
        m.d.sync += answer.eq(
            Array(reads.get(register.name, zero) for register in INTERRUPT_REGISTERS.registers)[
                words.read_index
            ]
        )
        m.d.comb += words.read_data.eq(answer)
        return m


class InterruptControllerModel:
    """What the controller answers, without time: one call is one access or one change of the inputs."""

    def __init__(self, *, inputs: int, edges: int = 0):
        self._all, self._edges = (1 << inputs) - 1, edges
        self._inputs = self._latched = self._enabled = self._master = 0

    @property
    def _active(self) -> int:
        return self._latched | (self._inputs & ~self._edges if self._master & 2 else 0)

    @property
    def interrupt(self) -> bool:
        return bool(self._active & self._enabled and self._master & 1)

    def drive(self, inputs: int) -> None:
        """Change the inputs."""
        if self._master & 2:
            self._latched |= inputs & ~self._inputs & self._edges
        self._inputs = inputs

    def read(self, addr: int) -> tuple[int, Response]:
        name = self._name_at(addr)
        if name is None:
            return 0, Response.SLVERR
        pending = self._active & self._enabled
        lowest = (pending & -pending).bit_length() - 1 if pending else NO_INTERRUPT
        values = {
            "ISR": self._active,
            "IPR": pending,
            "IER": self._enabled,
            "IVR": lowest,
            "MER": self._master,
        }
        return values.get(name, 0), Response.OKAY

    def write(self, addr: int, data: int, strb: int = 0xF) -> Response:
        name = self._name_at(addr & ~3) if write_is_aligned(addr, strb) else None
        if name is None:
            return Response.SLVERR
        written = sum(0xFF << 8 * lane for lane in range(4) if strb >> lane & 1)
        ones = data & written & self._all
        if name == "ISR" and not self._master & 2:
            self._latched |= ones
        elif name == "IER":
            self._enabled = (self._enabled & ~written) | ones
        elif name == "IAR":
            self._latched &= ~ones
        elif name == "SIE":
            self._enabled |= ones
        elif name == "CIE":
            self._enabled &= ~ones
        elif name == "MER" and written & 1:
            self._master = (data & 3) | (self._master & 2)
        return Response.OKAY

    @staticmethod
    def _name_at(addr: int) -> str | None:
        registers = INTERRUPT_REGISTERS.registers
        return registers[addr // 4].name if addr % 4 == 0 and addr // 4 < len(registers) else None
