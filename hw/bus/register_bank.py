"""The gateware of a register map: an AXI4-Lite slave with a port for each field, and its twin in Python."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from hw.bus.axi import AXI4Lite, Response
from hw.bus.axi_lite import AXI4LiteWords, write_is_aligned
from hw.bus.register_map import Access, Counter, Placement, Register, RegisterMap

__all__ = ["RegisterBank", "RegisterBankModel"]

#: Words among which the first step of a read chooses; a power of two.
READ_GROUP = 8


def _members(placement: Placement) -> dict[str, Member]:
    field, name = placement.field, placement.member
    if field.access is Access.READ_ONLY:
        return {name: In(field.bits)}
    if field.access is Access.READ_WRITE:
        return {name: Out(field.bits, init=field.reset)}
    if field.access is Access.WRITE_ONE_TO_CLEAR:
        return {name: Out(field.bits), f"{name}_set": In(field.bits)}
    if field.access is Access.PUSH:
        return {name: Out(field.bits), f"{name}_written": Out(1)}
    return {name: Out(field.bits)} if field.access is Access.PULSE else {}


class RegisterBank(wiring.Component):
    """Keeps the words of a `RegisterMap` behind AXI4-Lite. Timing and refusals are those of `AXI4LiteWords`.

    The port of a field is named `<register>_<field>` in lower case, or `<register>` where both have one name:

    | access | port |
    |---|---|
    | read-only | in, sampled when the host reads |
    | read-write | out |
    | write-one-to-clear | out, and `_set` in, whose high bits set it; setting wins over clearing |
    | pulse | out, high for the cycle in which a read-write field of the same word changes |
    | push | out, and `_written` out: high for one cycle in which the former holds what was written |
    | counter | `<name>_count` in: the cycles in which it is high are counted, each a cycle later |

    `clear` empties counters, latched counters and write-one-to-clear fields. A write to a word of the map is
    answered OKAY even where no field of it can be written, because pynq writes fields by read-modify-write.
    Bits outside the fields read zero. Byte strobes hold for every kind of field.
    """

    def __init__(self, registers: RegisterMap):
        self.registers = registers
        self._addr_bits = (registers.size - 1).bit_length()
        members = {"bus": In(AXI4Lite(addr_bits=self._addr_bits)), "clear": In(1)}
        for placement in registers.placements:
            members |= _members(placement)
        members |= {counter.port: In(1) for counter in registers.counters}
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        registers = self.registers.registers
        m.submodules.words = words = AXI4LiteWords(words=len(registers), addr_bits=self._addr_bits)
        wiring.connect(m, wiring.flipped(self.bus), words.bus)

        # Asked for, then taken: it reaches all bits of all counters, which are a cycle behind as well.
        snapshot, snapshot_due = Signal(), Signal()
        m.d.sync += snapshot.eq(snapshot_due)
        latched: dict[str, Value] = {}  # by the name of the word
        for counter in self.registers.counters:
            latch = self._elaborate_counter(m, counter, snapshot)
            latched |= {name: latch[part] for name, part in counter.parts.items()}
        reads = []
        for index, register in enumerate(registers):
            written = words.write & (words.write_index == index)
            for placement in register.placements:
                part = slice(placement.offset, placement.offset + placement.field.bits)
                mask = Mux(written, words.write_mask[part], 0)
                self._elaborate_write(
                    m, placement, data=words.write_data[part], mask=mask, snapshot=snapshot_due
                )
            reads.append(self._read_value(register, latched))
        # Two steps to a word: a hundred words are too many for one.
        low_bits = READ_GROUP.bit_length() - 1
        chosen = [Signal(32, name=f"read_group{at}") for at in range(0, len(reads), READ_GROUP)]
        for number, word in enumerate(chosen):
            group = reads[number * READ_GROUP :][:READ_GROUP]
            m.d.sync += word.eq(Array(group)[words.read_index[:low_bits]])
        m.d.comb += words.read_data.eq(Array(chosen)[words.read_index[low_bits:]])
        return m

    def _elaborate_counter(self, m: Module, counter: Counter, snapshot: Signal) -> Signal:
        count = Signal(counter.bits, name=f"{counter.name.lower()}_counter")
        latch = Signal(counter.bits, name=f"{counter.name.lower()}_latch")
        event = Signal(name=f"{counter.name.lower()}_event")
        m.d.sync += event.eq(getattr(self, counter.port) & ~self.clear)
        with m.If(self.clear):
            m.d.sync += [count.eq(0), latch.eq(0)]
        with m.Else():
            with m.If(event & ~count.all()):
                m.d.sync += count.eq(count + 1)
            with m.If(snapshot):
                m.d.sync += latch.eq(count)
        return latch

    def _elaborate_write(self, m: Module, placement: Placement, *, data, mask, snapshot: Signal) -> None:
        access = placement.field.access
        if access is Access.SNAPSHOT:
            m.d.comb += snapshot.eq((data & mask).any())
        elif access is Access.READ_WRITE:
            value = getattr(self, placement.member)
            m.d.sync += value.eq((value & ~mask) | (data & mask))
        elif access is Access.PULSE:
            m.d.sync += getattr(self, placement.member).eq(data & mask)
        elif access is Access.PUSH:
            m.d.sync += getattr(self, placement.member).eq(data & mask)
            m.d.sync += getattr(self, f"{placement.member}_written").eq(mask.any())
        elif access is Access.WRITE_ONE_TO_CLEAR:
            value, raised = getattr(self, placement.member), getattr(self, f"{placement.member}_set")
            kept = Mux(self.clear, 0, value & ~(data & mask))
            m.d.sync += value.eq(kept | raised)

    def _read_value(self, register: Register, latched: dict[str, Value]):
        bits, above = [], 0
        for placement in sorted(register.placements, key=lambda placement: placement.offset):
            bits += [Const(0, placement.offset - above), self._read_field(placement, latched)]
            above = placement.offset + placement.field.bits
        return Cat(*bits, Const(0, 32 - above))

    def _read_field(self, placement: Placement, latched: dict[str, Value]):
        field, access = placement.field, placement.field.access
        if access is Access.CONSTANT:
            return Const(field.reset, field.bits)
        if access in (Access.PULSE, Access.PUSH, Access.SNAPSHOT):
            return Const(0, field.bits)
        if access is Access.LATCHED:
            return latched[field.name]
        return getattr(self, placement.member)


class RegisterBankModel:
    """What the bank answers, without time: one call is one access.

    `inputs` holds what the read-only ports are driven with; `outputs` the read-write and write-one-to-clear
    ports; `pulses` the pulse ports in the cycle after the last write; `pushed` all that push ports handed on.
    """

    def __init__(self, registers: RegisterMap):
        self.registers = registers
        by_access = {
            access: [p for p in registers.placements if p.field.access is access] for access in Access
        }
        self.inputs = {p.member: 0 for p in by_access[Access.READ_ONLY]}
        self.outputs = {p.member: p.field.reset for p in by_access[Access.READ_WRITE]}
        self.outputs |= {p.member: 0 for p in by_access[Access.WRITE_ONE_TO_CLEAR]}
        self.pulses = {p.member: 0 for p in by_access[Access.PULSE]}
        self.pushed: list[tuple[str, int]] = []
        self._counts = {counter.name: 0 for counter in registers.counters}
        self._latched = dict(self._counts)

    def set(self, member: str, bits: int) -> None:
        """Raise the `_set` port of a write-one-to-clear field for a cycle."""
        self.outputs[member] |= bits

    def count(self, name: str, cycles: int) -> None:
        """Hold the port of a counter high for some cycles."""
        bits = next(counter.bits for counter in self.registers.counters if counter.name == name)
        self._counts[name] = min(self._counts[name] + cycles, (1 << bits) - 1)

    def clear(self) -> None:
        """Raise `clear` for a cycle."""
        self._counts = dict.fromkeys(self._counts, 0)
        self._latched = dict.fromkeys(self._latched, 0)
        for placement in self.registers.placements:
            if placement.field.access is Access.WRITE_ONE_TO_CLEAR:
                self.outputs[placement.member] = 0

    def read(self, addr: int) -> tuple[int, Response]:
        register = self._register_at(addr)
        if register is None:
            return 0, Response.SLVERR
        value = sum(self._read_field(placement) << placement.offset for placement in register.placements)
        return value, Response.OKAY

    def write(self, addr: int, data: int, strb: int = 0xF) -> Response:
        self.pulses = dict.fromkeys(self.pulses, 0)
        register = self._register_at(addr & ~3) if write_is_aligned(addr, strb) else None
        if register is None:
            return Response.SLVERR
        word_mask = sum(0xFF << 8 * lane for lane in range(4) if strb >> lane & 1)
        for placement in register.placements:
            mask = (word_mask & placement.mask) >> placement.offset
            self._write_field(placement, data >> placement.offset, mask)
        return Response.OKAY

    def _register_at(self, addr: int) -> Register | None:
        registers = self.registers.registers
        return registers[addr // 4] if addr % 4 == 0 and addr // 4 < len(registers) else None

    def _read_field(self, placement: Placement) -> int:
        field, access = placement.field, placement.field.access
        if access is Access.READ_ONLY:
            return self.inputs[placement.member]
        if access in (Access.READ_WRITE, Access.WRITE_ONE_TO_CLEAR):
            return self.outputs[placement.member]
        if access is Access.LATCHED:
            return self._latched_part(field.name)
        return field.reset if access is Access.CONSTANT else 0

    def _latched_part(self, word: str) -> int:
        for counter in self.registers.counters:
            if word in counter.parts:
                part = counter.parts[word]
                return self._latched[counter.name] >> part.start & (1 << part.stop - part.start) - 1
        raise AssertionError(f"no counter has the word {word}")

    def _write_field(self, placement: Placement, data: int, mask: int) -> None:
        access, name = placement.field.access, placement.member
        if access is Access.READ_WRITE:
            self.outputs[name] = (self.outputs[name] & ~mask) | (data & mask)
        elif access is Access.WRITE_ONE_TO_CLEAR:
            self.outputs[name] &= ~(data & mask)
        elif access is Access.PULSE:
            self.pulses[name] = data & mask
        elif access is Access.PUSH and mask:
            self.pushed.append((name, data & mask))
        elif access is Access.SNAPSHOT and data & mask:
            self._latched = dict(self._counts)
