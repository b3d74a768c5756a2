"""What every overlay has in common: the description, the registers at its head, errors, counters, soft reset.

A concrete overlay names its errors, interrupts, stalls and registers, and builds its datapath:

    class Copy(Overlay):
        def __init__(self, *, data_bits: int = 64):
            super().__init__(
                name="copy", version=(1, 0), memory_data_bits=data_bits,
                errors=("read", "write"), stalls=("source",),
                registers=(
                    Register(name="CONTROL", fields=[Field(name="START", access=Access.PULSE)]),
                    Register.word("SOURCE_LO"),
                ),
            )

        def build(self, m, shell):
            m.submodules.reader = reader = ReadEngine(...)
            wiring.connect(m, reader.bus, wiring.flipped(self.memory))
            m.d.comb += [
                reader.start.eq(shell.registers.control_start),
                reader.flush.eq(shell.flush),
                shell.idle.eq(reader.idle),
                shell.busy.eq(~reader.idle),
                shell.errors["read"].raised.eq(reader.failed),
                shell.errors["read"].addr.eq(reader.failed_addr),
                shell.interrupts["done"].eq(reader.done),
            ]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from hw.bus.axi import AXI4, AXI4Lite
from hw.bus.axi_lite import AXI4LiteDecoder, Window
from hw.bus.interrupt_controller import InterruptController
from hw.bus.register_bank import RegisterBank
from hw.bus.register_map import Access, Counter, Field, Register, RegisterMap

__all__ = ["INTERRUPTS", "MAGIC", "REGISTERS", "ErrorPort", "Overlay", "OverlayDescription", "OverlayShell"]

MAGIC = 0x434F_4C4E  #: "COLN", what the register ID reads
CONTROL_ADDR_BITS = 16
MEMORY_ADDR_BITS = 40
REGISTERS = Window(base=0x0000, size=0x1000)
INTERRUPTS = Window(base=0x1000, size=0x1000)

FIRST_INTERRUPT_BIT = 8  #: of STATUS
FIRST_ERROR_BIT = 16  #: of STATUS
WATCHDOG = "watchdog"  #: the error that every overlay has
#: What pynq's DefaultIP has already: an interrupt becomes an attribute of the driver.
DRIVER_ATTRIBUTES = ("call", "device", "mmio", "read", "register_map", "signature", "start", "write")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _check_names(overlay: str, kind: str, names: Sequence[str], most: int) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"overlay {overlay}: {kind} {name!r} must be lower case letters, digits and _")
    if len(set(names)) < len(names):
        raise ValueError(f"overlay {overlay}: {kind} names must differ, not {tuple(names)!r}")
    if len(names) > most:
        raise ValueError(f"overlay {overlay}: at most {most} of kind {kind} fit, not {len(names)}")


def _sticky(names: Sequence[str], docs: str) -> list[Field]:
    return [
        Field(name=name.upper(), access=Access.WRITE_ONE_TO_CLEAR, doc=docs.format(name)) for name in names
    ]


@dataclass(frozen=True, kw_only=True)
class OverlayDescription:
    """What everyone outside the gateware needs to know of an overlay."""

    name: str  #: names the IP, its files and its module
    version: tuple[int, int]
    errors: Sequence[str] = ()  #: sticky causes, the first ones taking precedence
    interrupts: Sequence[str] = ("done",)
    stalls: Sequence[str] = ()  #: what cycles are counted for, besides CYCLES and BUSY_CYCLES
    registers: Sequence[Register | Counter] = ()  #: the overlay's own, after the common ones
    memory_data_bits: int | None = None  #: None where the overlay has no memory port

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"the name of an overlay must be lower case letters, digits and _, not {self.name!r}"
            )
        if not all(0 <= part < 1 << 16 for part in self.version):
            raise ValueError(
                f"overlay {self.name}: version must be two numbers of 16 bits, not {self.version!r}"
            )
        _check_names(self.name, "error", self.causes, 32 - FIRST_ERROR_BIT)
        _check_names(self.name, "interrupt", self.interrupts, FIRST_ERROR_BIT - FIRST_INTERRUPT_BIT)
        _check_names(self.name, "stall", self.stalls, 16)
        for name in set(self.interrupts).intersection(DRIVER_ATTRIBUTES):
            raise ValueError(
                f"overlay {self.name}: interrupt {name!r} would hide an attribute of pynq's drivers"
            )
        if not self.interrupts:
            raise ValueError(f"overlay {self.name} needs an interrupt, or the host cannot wait for it")

    @property
    def vlnv(self) -> str:
        """What a pynq driver binds to."""
        return f"colonnade:overlay:{self.name}:{self.version[0]}.{self.version[1]}"

    @property
    def causes(self) -> tuple[str, ...]:
        """The overlay's errors and the watchdog, in the order of their bits."""
        return (*self.errors, WATCHDOG)

    @property
    def register_map(self) -> RegisterMap:
        """The common registers, then the overlay's own."""
        return RegisterMap(name=self.name, size=REGISTERS.size, items=(*self._common(), *self.registers))

    def _common(self) -> list[Register | Counter]:
        def constant(name: str, value: int, doc: str) -> Register:
            return Register.word(name, access=Access.CONSTANT, reset=value, doc=doc)

        items: list[Register | Counter] = [
            constant("ID", MAGIC, "Says that a Colonnade overlay is here: 'COLN'."),
            constant(
                "VERSION", self.version[0] << 16 | self.version[1], "Major version above bit 16, minor below."
            ),
            constant("DESIGN_HASH", 0, "Hash of the gateware; the .hwh carries the same."),
            self._status(),
            Register(name="ERROR", fields=_sticky(self.causes, "Write 1 to clear `{}`.")),
            Register(
                name="INTERRUPT", fields=_sticky(self.interrupts, "Write 1 to lower the interrupt `{}`.")
            ),
            Register.word(
                "ERROR_ADDR_LO", access=Access.READ_ONLY, doc="Address of the first error, low word."
            ),
            Register.word(
                "ERROR_ADDR_HI",
                bits=MEMORY_ADDR_BITS - 32,
                access=Access.READ_ONLY,
                doc="Address of the first error, high word.",
            ),
            Register.word(
                "ERROR_FIRST", bits=4, access=Access.READ_ONLY, doc="Bit in ERROR of the first error."
            ),
            Register.word(
                "SOFT_RESET",
                bits=1,
                access=Access.PULSE,
                doc="Write 1: finish what is in flight on the bus, then reset everything but the read-write "
                "registers; RESETTING of STATUS falls when done.",
            ),
            Register.word(
                "WATCHDOG_LIMIT",
                doc="Cycles with BUSY and no progress after which the error `watchdog` and every interrupt "
                "are raised; 0 for never.",
            ),
            Register.word(
                "SNAPSHOT", bits=1, access=Access.SNAPSHOT, doc="Write 1: latch every counter at once."
            ),
            Counter(name="CYCLES", bits=64, doc="Clock cycles since reset."),
            Counter(name="BUSY_CYCLES", doc="Cycles with BUSY."),
        ]
        items += [
            Counter(name=f"STALL_{name.upper()}", doc=f"Cycles stalled by `{name}`.") for name in self.stalls
        ]
        return items

    def _status(self) -> Register:
        def flag(name: str, doc: str, offset: int | None = None) -> Field:
            return Field(name=name, access=Access.READ_ONLY, doc=doc, offset=offset)

        fields = [
            flag("BUSY", "Works on a job."),
            flag("ANY_ERROR", "Some error is kept."),
            flag("RESETTING", "A soft reset is on its way."),
        ]
        for bit, name in enumerate(self.interrupts, FIRST_INTERRUPT_BIT):
            fields.append(flag(f"IRQ_{name.upper()}", f"Bit `{name}` of INTERRUPT.", bit))
        for bit, name in enumerate(self.causes, FIRST_ERROR_BIT):
            fields.append(flag(f"ERROR_{name.upper()}", f"Bit `{name}` of ERROR.", bit))
        doc = "All that a polling host needs, in one read."
        return Register(name="STATUS", fields=fields, doc=doc)


@dataclass(frozen=True)
class ErrorPort:
    """One cause of failure, as the datapath reports it."""

    raised: Signal  #: high for a cycle, or longer
    addr: Signal  #: where it happened, valid with `raised`; zero where no address belongs to it


class OverlayShell:
    """What the datapath reads and drives; all of it is combinational and zero where left undriven.

    Read: `registers`, the ports of the register bank (those of the overlay's own registers), and `flush`:
    start nothing new and finish what is in flight.

    Drive: `busy`; `progress`, high when a beat moves, which restarts the watchdog; `idle`, high when nothing
    is in flight on any bus, so that a reset breaks no transaction (high where left undriven); `errors`,
    `interrupts` and `stalls` by name. An interrupt is raised by a cycle of its signal, and then is kept as a
    level until the host clears it. A job raises its interrupt also when it failed, so that a host waits for
    one thing.
    """

    def __init__(self, description: OverlayDescription, registers: RegisterBank):
        self.registers = registers
        self.flush = Signal()
        self.busy = Signal()
        self.progress = Signal()
        self.idle = Signal(init=1)
        self.errors: Mapping[str, ErrorPort] = {
            name: ErrorPort(Signal(name=f"error_{name}"), Signal(MEMORY_ADDR_BITS, name=f"error_{name}_addr"))
            for name in description.causes
        }
        self.interrupts: Mapping[str, Signal] = {
            name: Signal(name=f"interrupt_{name}") for name in description.interrupts
        }
        self.stalls: Mapping[str, Signal] = {
            name: Signal(name=f"stall_{name}") for name in description.stalls
        }


class Overlay(wiring.Component):
    """Base of all overlays. A subclass describes itself to the constructor and overrides `build`.

    Ports: `control`, with the registers at 0x0000 and the interrupt controller at 0x1000; `memory` where
    `memory_data_bits` is given; `interrupt`, a level; and `pins`.

    Soft reset: `flush` rises, the datapath drains until `idle`, then all of it is reset for one cycle, and
    sticky causes and counters are emptied. The bank's read-write registers and the interrupt controller stay
    as they are. A start that is given while STATUS reads RESETTING is lost.
    """

    def __init__(
        self,
        *,
        name: str,
        version: tuple[int, int],
        errors: Sequence[str] = (),
        interrupts: Sequence[str] = ("done",),
        stalls: Sequence[str] = (),
        registers: Sequence[Register | Counter] = (),
        memory_data_bits: int | None = None,
        pins: Mapping[str, Member] | None = None,
    ):
        self.description = OverlayDescription(
            name=name,
            version=version,
            errors=tuple(errors),
            interrupts=tuple(interrupts),
            stalls=tuple(stalls),
            registers=tuple(registers),
            memory_data_bits=memory_data_bits,
        )
        self.description.register_map.markdown()  # a wrong register is refused here, not while elaborating
        #: What DESIGN_HASH reads; `hw.overlay.package` sets it.
        self.design_hash = 0
        self.pins: dict[str, Member] = dict(pins or {})
        members = {"control": In(AXI4Lite(addr_bits=CONTROL_ADDR_BITS)), "interrupt": Out(1)}
        if self.description.memory_data_bits is not None:
            signature = AXI4(data_bits=self.description.memory_data_bits, addr_bits=MEMORY_ADDR_BITS)
            members["memory"] = Out(signature)
        taken = sorted(set(members) & set(self.pins))
        if taken:
            raise ValueError(
                f"overlay {self.description.name}: pin {taken[0]!r} has the name of a port of every overlay"
            )
        super().__init__(members | self.pins)

    def build(self, m: Module, shell: OverlayShell) -> None:
        """Put the datapath into `m`. All of `m` is subject to the soft reset."""
        raise NotImplementedError(f"{type(self).__name__} must override build()")

    def elaborate(self, platform) -> Module:
        m = Module()
        registers = self.description.register_map.with_constants(DESIGN_HASH=self.design_hash)
        m.submodules.registers = bank = RegisterBank(registers)
        m.submodules.intc = intc = InterruptController(inputs=len(self.description.interrupts))
        m.submodules.decoder = decoder = AXI4LiteDecoder(
            addr_bits=CONTROL_ADDR_BITS, windows={"registers": REGISTERS, "interrupts": INTERRUPTS}
        )
        wiring.connect(m, wiring.flipped(self.control), decoder.bus)
        wiring.connect(m, decoder.registers, bank.bus)
        wiring.connect(m, decoder.interrupts, intc.bus)

        shell = OverlayShell(self.description, bank)
        datapath = Module()
        self.build(datapath, shell)
        datapath_reset = Signal()
        m.submodules.datapath = ResetInserter(datapath_reset)(datapath)

        self._elaborate_reset(m, shell, datapath_reset)
        self._elaborate_errors(m, shell, datapath_reset)
        self._elaborate_counters(m, shell)
        self._elaborate_watchdog(m, shell, datapath_reset)
        levels = [getattr(bank, f"interrupt_{name}") for name in self.description.interrupts]
        m.d.comb += [intc.inputs.eq(Cat(levels)), self.interrupt.eq(intc.interrupt)]
        for name, level in zip(self.description.interrupts, levels, strict=True):
            raised = shell.interrupts[name] | shell.errors[WATCHDOG].raised
            m.d.comb += [
                # What a datapath says in the cycle of its reset belongs to the job that was given up.
                getattr(bank, f"interrupt_{name}_set").eq(raised & ~datapath_reset),
                getattr(bank, f"status_irq_{name}").eq(level),
            ]
        return m

    def _elaborate_watchdog(self, m: Module, shell: OverlayShell, datapath_reset: Signal) -> None:
        idle_cycles, limit = Signal(32), shell.registers.watchdog_limit
        with m.If(~shell.busy | shell.progress | datapath_reset):
            m.d.sync += idle_cycles.eq(0)
        with m.Elif(~idle_cycles.all()):
            m.d.sync += idle_cycles.eq(idle_cycles + 1)
        # Equality, so that it is said once a standstill.
        m.d.comb += shell.errors[WATCHDOG].raised.eq(shell.busy & (limit != 0) & (idle_cycles == limit))

    def _elaborate_reset(self, m: Module, shell: OverlayShell, datapath_reset: Signal) -> None:
        bank = shell.registers
        with m.If(bank.soft_reset):
            m.d.sync += shell.flush.eq(1)
        with m.Elif(shell.flush & shell.idle):
            m.d.comb += datapath_reset.eq(1)
            m.d.sync += shell.flush.eq(0)
        m.d.comb += [
            bank.clear.eq(datapath_reset),
            bank.status_resetting.eq(bank.soft_reset | shell.flush),
            bank.status_busy.eq(shell.busy),
        ]

    def _elaborate_errors(self, m: Module, shell: OverlayShell, datapath_reset: Signal) -> None:
        bank, names = shell.registers, self.description.causes
        kept = [getattr(bank, f"error_{name}") for name in names]
        any_kept, any_raised = Signal(), Signal()
        raised = [shell.errors[name].raised & ~datapath_reset for name in names]
        m.d.comb += [
            any_kept.eq(Cat(kept).any()),
            any_raised.eq(Cat(raised).any()),
            bank.status_any_error.eq(any_kept),
        ]
        addr, number = Signal(MEMORY_ADDR_BITS), Signal(4)
        m.d.comb += [
            bank.error_addr_lo.eq(addr[:32]),
            bank.error_addr_hi.eq(addr[32:]),
            bank.error_first.eq(number),
        ]
        for name, level, now in zip(names, kept, raised, strict=True):
            m.d.comb += [
                getattr(bank, f"error_{name}_set").eq(now),
                getattr(bank, f"status_error_{name}").eq(level),
            ]
        first_addr, first_number = addr, number
        for index, name in reversed(list(enumerate(names))):
            first_addr = Mux(raised[index], shell.errors[name].addr, first_addr)
            first_number = Mux(raised[index], index, first_number)
        with m.If(any_raised & ~any_kept):
            m.d.sync += [addr.eq(first_addr), number.eq(first_number)]

    def _elaborate_counters(self, m: Module, shell: OverlayShell) -> None:
        bank = shell.registers
        m.d.comb += [bank.cycles_count.eq(1), bank.busy_cycles_count.eq(shell.busy)]
        for name, stalled in shell.stalls.items():
            m.d.comb += getattr(bank, f"stall_{name}_count").eq(stalled)
