"""The base of every overlay: control port, registers, errors, interrupts, counters and soft reset.

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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from hw.bus.axi import AXI4, AXI4Lite
from hw.bus.axi_lite import AXI4LiteDecoder
from hw.bus.interrupt_controller import InterruptController
from hw.bus.register_bank import RegisterBank
from hw.bus.register_map import Counter, Register
from hw.overlay.description import (
    CONTROL_ADDR_BITS,
    INTERRUPTS,
    MAGIC,
    MEMORY_ADDR_BITS,
    REGISTERS,
    WATCHDOG,
    OverlayDescription,
)

__all__ = ["INTERRUPTS", "MAGIC", "REGISTERS", "ErrorPort", "Overlay", "OverlayDescription", "OverlayShell"]


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
    `memory_data_bits` is given, and `memory_1` where `memory_ports` is 2; `interrupt`, a level; and `pins`.
    A channel of a memory port that the datapath leaves alone stays quiet.

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
        memory_ports: int = 1,
        pins: Mapping[str, Member] | None = None,
        parameters: Mapping[str, str] | None = None,
    ):
        self.description = OverlayDescription(
            name=name,
            version=version,
            errors=tuple(errors),
            interrupts=tuple(interrupts),
            stalls=tuple(stalls),
            registers=tuple(registers),
            memory_data_bits=memory_data_bits,
            memory_ports=memory_ports,
            parameters=dict(parameters or {}),
        )
        self.description.register_map.markdown()  # a wrong register is refused here, not while elaborating
        #: What DESIGN_HASH reads; `hw.overlay.package` sets it.
        self.design_hash = 0
        self.pins: dict[str, Member] = dict(pins or {})
        members = {"control": In(AXI4Lite(addr_bits=CONTROL_ADDR_BITS)), "interrupt": Out(1)}
        if memory_data_bits is not None:
            signature = AXI4(data_bits=memory_data_bits, addr_bits=MEMORY_ADDR_BITS)
            members |= {port: Out(signature) for port in self.description.memories}
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
        m.d.sync += shell.errors[WATCHDOG].raised.eq(
            shell.busy & (limit != 0) & (idle_cycles == limit) & ~datapath_reset
        )

    def _elaborate_reset(self, m: Module, shell: OverlayShell, datapath_reset: Signal) -> None:
        bank = shell.registers
        # Registers between the buses' being idle and the reset of everything: with `flush`, idle stays idle,
        # and the way from a bus through `idle` to each register would limit the clock.
        m.d.sync += datapath_reset.eq(shell.flush & shell.idle & ~datapath_reset)
        with m.If(bank.soft_reset):
            m.d.sync += [shell.flush.eq(1), datapath_reset.eq(0)]
        with m.Elif(datapath_reset):
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
