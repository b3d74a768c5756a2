"""What all but the gateware need to know of an overlay, and the registers that all overlays have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hw.bus.axi_lite import Window
from hw.bus.register_map import Access, Counter, Field, Register, RegisterMap

__all__ = [
    "CONTROL_ADDR_BITS",
    "INTERRUPTS",
    "MAGIC",
    "MEMORY_ADDR_BITS",
    "MEMORY_PORTS",
    "REGISTERS",
    "WATCHDOG",
    "OverlayDescription",
]

MAGIC = 0x434F_4C4E  #: "COLN", what the register ID reads
CONTROL_ADDR_BITS = 16
MEMORY_ADDR_BITS = 40
#: What an overlay's memory ports are called, the first ones first.
MEMORY_PORTS = ("memory", "memory_1")
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
    """An overlay as metadata, host and docs know it."""

    name: str  #: names the IP, its files and its module
    version: tuple[int, int]
    errors: Sequence[str] = ()  #: sticky causes, the first ones taking precedence
    interrupts: Sequence[str] = ("done",)
    stalls: Sequence[str] = ()  #: what cycles are counted for, besides CYCLES and BUSY_CYCLES
    registers: Sequence[Register | Counter] = ()  #: the overlay's own, after the common ones
    memory_data_bits: int | None = None  #: None where the overlay has no memory port
    memory_ports: int = 1  #: how many of that width, where there are any
    #: What a driver needs to know beyond registers; it finds them among the parameters of the .hwh.
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

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
        if self.memory_ports not in range(1, len(MEMORY_PORTS) + 1):
            raise ValueError(f"overlay {self.name}: memory_ports must be 1 or 2, not {self.memory_ports!r}")
        if self.memory_ports > 1 and self.memory_data_bits is None:
            raise ValueError(
                f"overlay {self.name}: {self.memory_ports} memory ports need a width; give memory_data_bits"
            )

    @property
    def vlnv(self) -> str:
        """What a pynq driver binds to."""
        return f"colonnade:overlay:{self.name}:{self.version[0]}.{self.version[1]}"

    @property
    def memories(self) -> tuple[str, ...]:
        """Names of the memory ports."""
        return () if self.memory_data_bits is None else MEMORY_PORTS[: self.memory_ports]

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
