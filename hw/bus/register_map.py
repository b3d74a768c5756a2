"""A register map as one frozen object, from which gateware, .hwh, docs and what the host sees are made.

Words are 32 bits. An offset follows from the position in the map, so appending a register never moves an
older one. Names are upper case, as `ip.register_map.STATUS.BUSY` reads on the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Access", "Counter", "Field", "Placement", "Register", "RegisterMap"]

WORD_BITS = 32
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


class Access(Enum):
    """What a write and a read of a field do. The value is how the docs call it."""

    CONSTANT = "constant"  #: reads its reset value for ever
    READ_ONLY = "read-only"  #: reads what the gateware drives
    READ_WRITE = "read-write"  #: reads back what was written
    WRITE_ONE_TO_CLEAR = "write-one-to-clear"  #: set by the gateware, kept, cleared where a one is written
    PULSE = "pulse"  #: a one written lasts one cycle; reads zero
    PUSH = "push"  #: every write is handed on, whatever its value; reads zero
    SNAPSHOT = "snapshot"  #: a one written latches every counter of the map; reads zero
    LATCHED = "latched"  #: part of a counter, as it was at the last snapshot

    @property
    def writable(self) -> bool:
        return self not in (Access.CONSTANT, Access.READ_ONLY, Access.LATCHED)

    @property
    def hwh(self) -> str:
        """The access word that pynq knows."""
        return "read-write" if self.writable else "read-only"


def _check_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name of a {kind} must be upper case letters, digits and _, not {name!r}")


@dataclass(frozen=True, kw_only=True)
class Field:
    """Adjacent bits of one word that mean one thing."""

    name: str
    bits: int = 1
    access: Access = Access.READ_WRITE
    reset: int = 0
    doc: str = ""
    offset: int | None = None  #: lowest bit; right above the previous field when absent

    def __post_init__(self) -> None:
        _check_name("field", self.name)
        if not 1 <= self.bits <= WORD_BITS:
            raise ValueError(f"field {self.name}: bits must be in 1 .. {WORD_BITS}, not {self.bits!r}")
        if not 0 <= self.reset < 1 << self.bits:
            raise ValueError(f"field {self.name}: reset {self.reset!r} does not fit in {self.bits} bits")
        if self.reset and self.access not in (Access.CONSTANT, Access.READ_WRITE):
            raise ValueError(f"field {self.name}: a {self.access.value} field has no reset value")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A field with the place it was given."""

    register: Register
    field: Field
    offset: int  #: lowest bit within the word

    @property
    def mask(self) -> int:
        return ((1 << self.field.bits) - 1) << self.offset

    @property
    def member(self) -> str:
        """The name of the port of the register bank that belongs to this field."""
        register, field = self.register.name.lower(), self.field.name.lower()
        return register if register == field else f"{register}_{field}"

    @property
    def ports(self) -> tuple[str, ...]:
        """Every port of the register bank that belongs to this field."""
        if self.field.access in (Access.CONSTANT, Access.SNAPSHOT, Access.LATCHED):
            return ()
        sticky = self.field.access is Access.WRITE_ONE_TO_CLEAR
        return (self.member, f"{self.member}_set") if sticky else (self.member,)


@dataclass(frozen=True, kw_only=True)
class Register:
    """One 32-bit word."""

    name: str
    fields: Sequence[Field]
    doc: str = ""

    def __post_init__(self) -> None:
        _check_name("register", self.name)
        object.__setattr__(self, "fields", tuple(self.fields))
        if not self.fields:
            raise ValueError(f"register {self.name} has no field")
        self._check_placements()
        self._check_accesses()

    @classmethod
    def word(
        cls,
        name: str,
        *,
        bits: int = WORD_BITS,
        access: Access = Access.READ_WRITE,
        reset: int = 0,
        doc: str = "",
    ) -> Register:
        """A register of one field, which has the register's own name."""
        return cls(
            name=name, fields=(Field(name=name, bits=bits, access=access, reset=reset, doc=doc),), doc=doc
        )

    @property
    def placements(self) -> tuple[Placement, ...]:
        placements, above = [], 0
        for field in self.fields:
            offset = above if field.offset is None else field.offset
            placements.append(Placement(register=self, field=field, offset=offset))
            above = offset + field.bits
        return tuple(placements)

    @property
    def reset(self) -> int:
        return sum(placement.field.reset << placement.offset for placement in self.placements)

    @property
    def writable(self) -> bool:
        return any(field.access.writable for field in self.fields)

    def _check_placements(self) -> None:
        taken: dict[int, str] = {}
        if len({field.name for field in self.fields}) < len(self.fields):
            raise ValueError(f"register {self.name} has two fields of one name")
        for placement in self.placements:
            name, end = placement.field.name, placement.offset + placement.field.bits
            if placement.offset < 0 or end > WORD_BITS:
                raise ValueError(
                    f"register {self.name}: field {name} ends at bit {end - 1}, past bit {WORD_BITS - 1}; "
                    "move it to a register of its own"
                )
            for bit in range(placement.offset, end):
                if bit in taken:
                    raise ValueError(f"register {self.name}: fields {taken[bit]} and {name} share bit {bit}")
                taken[bit] = name

    def _check_accesses(self) -> None:
        accesses = {field.access for field in self.fields}
        if Access.WRITE_ONE_TO_CLEAR in accesses and any(
            a.writable for a in accesses - {Access.WRITE_ONE_TO_CLEAR}
        ):
            raise ValueError(
                f"register {self.name}: a write-one-to-clear field must not share a word with another "
                "writable field, because a host that sets one bit by read-modify-write would clear it; "
                "give it a register of its own"
            )


@dataclass(frozen=True, kw_only=True)
class Counter:
    """Counts cycles in which something holds; takes the word `<name>`, or `<name>_LO` and `<name>_HI`.

    It saturates, so that it never wraps in silence. The words show it as it was at the last snapshot.
    """

    name: str
    bits: int = 48
    doc: str = ""

    def __post_init__(self) -> None:
        _check_name("counter", self.name)
        if not 1 <= self.bits <= 2 * WORD_BITS:
            raise ValueError(f"counter {self.name}: bits must be in 1 .. 64, not {self.bits!r}")

    @property
    def port(self) -> str:
        """The port of the register bank whose high cycles are counted."""
        return f"{self.name.lower()}_count"

    @property
    def parts(self) -> dict[str, slice]:
        """The names of the words, and the bits of the counter that each holds."""
        if self.bits <= WORD_BITS:
            return {self.name: slice(0, self.bits)}
        return {
            f"{self.name}_LO": slice(0, WORD_BITS),
            f"{self.name}_HI": slice(WORD_BITS, self.bits),
        }

    @property
    def registers(self) -> tuple[Register, ...]:
        words = {"LO": " Low word.", "HI": " High word."}
        return tuple(
            Register.word(
                name,
                bits=part.stop - part.start,
                access=Access.LATCHED,
                doc=self.doc + (words[name[-2:]] if len(self.parts) > 1 else ""),
            )
            for name, part in self.parts.items()
        )


@dataclass(frozen=True, kw_only=True)
class RegisterMap:
    """The words of one block, in the order of their offsets.

    `items` are registers and counters; `registers` has the counters' words unfolded.
    """

    name: str
    items: Sequence[Register | Counter]
    size: int = 0x1000  #: bytes of the window it is reached through

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.items))
        self._check()

    @property
    def registers(self) -> tuple[Register, ...]:
        words: list[Register] = []
        for item in self.items:
            words.extend(item.registers if isinstance(item, Counter) else (item,))
        return tuple(words)

    @property
    def counters(self) -> tuple[Counter, ...]:
        return tuple(item for item in self.items if isinstance(item, Counter))

    @property
    def placements(self) -> Iterator[Placement]:
        """Every field of the map."""
        return (placement for register in self.registers for placement in register.placements)

    def offset(self, name: str) -> int:
        """The byte offset of a register."""
        return 4 * self._index(name)

    def __getitem__(self, name: str) -> Register:
        return self.registers[self._index(name)]

    def with_constants(self, **values: int) -> RegisterMap:
        """The same map, with other values in the constant registers of these names."""
        for name in values:
            if any(field.access is not Access.CONSTANT for field in self[name].fields):
                raise ValueError(f"{self.name}: register {name} is not constant")
        return RegisterMap(
            name=self.name,
            size=self.size,
            items=[
                Register.word(item.name, access=Access.CONSTANT, reset=values[item.name], doc=item.doc)
                if isinstance(item, Register) and item.name in values
                else item
                for item in self.items
            ],
        )

    def markdown(self) -> str:
        """The table of the docs: a row a field."""
        rows = [
            "| offset | register | bits | field | access | reset | meaning |",
            "|---|---|---|---|---|---|---|",
        ]
        for index, register in enumerate(self.registers):
            for placement in register.placements:
                field, low = placement.field, placement.offset
                bits = f"{low + field.bits - 1}:{low}" if field.bits > 1 else f"{low}"
                rows.append(
                    f"| 0x{4 * index:03X} | {register.name} | {bits} | {field.name} | {field.access.value} "
                    f"| 0x{field.reset:X} | {field.doc or register.doc} |"
                )
        return "\n".join(rows) + "\n"

    def _index(self, name: str) -> int:
        for index, register in enumerate(self.registers):
            if register.name == name:
                return index
        known = ", ".join(register.name for register in self.registers)
        raise ValueError(f"{self.name} has no register {name!r}; it has {known}")

    def _check(self) -> None:
        names = [register.name for register in self.registers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{self.name}: register {twice[0]} stands in the map twice")
        if 4 * len(names) > self.size:
            raise ValueError(
                f"{self.name}: {len(names)} registers do not fit in a window of {self.size} bytes"
            )
        ports = ["bus", "clear", *(counter.port for counter in self.counters)]
        ports += [port for placement in self.placements for port in placement.ports]
        clash = sorted({port for port in ports if ports.count(port) > 1})
        if clash:
            raise ValueError(
                f"{self.name}: the register bank would have the port {clash[0]!r} twice; rename a field"
            )
        snapshots = [p for p in self.placements if p.field.access is Access.SNAPSHOT]
        if self.counters and len(snapshots) != 1:
            raise ValueError(
                f"{self.name} has counters, so it needs one SNAPSHOT field, not {len(snapshots)}"
            )
