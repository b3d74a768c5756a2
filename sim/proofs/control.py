"""What the AXI4-Lite register bank promises, to every master and for every order of its five channels."""

from __future__ import annotations

from amaranth.asserts import AnySeq
from amaranth.hdl import Array, Assert, Cat, Const, Cover, Module, Mux, Signal, Value

from hw.bus.axi import Response
from hw.bus.axi_lite import AXI4LiteWords
from hw.bus.register_bank import RegisterBank
from hw.bus.register_map import Access, Field, Register, RegisterMap

from .runner import Proof
from .stream_contract import Contract, assert_bounded_wait

__all__ = ["CONTROL_PROOFS", "bank_rules"]

#: Three words in a window of four. Fields of few bits, across the edge of a strobe, keep the proof short.
PROVEN_MAP = RegisterMap(
    name="proven",
    size=16,
    items=(
        Register.word("KEPT", bits=9, reset=0x101),
        Register(
            name="STICKY",
            fields=(
                Field(name="SEEN", bits=2, access=Access.WRITE_ONE_TO_CLEAR),
                Field(name="LIVE", bits=2, offset=17, access=Access.READ_ONLY),
            ),
        ),
        Register.word("GO", bits=9, access=Access.PULSE),
    ),
)
KEPT, STICKY, GO = range(3)


class _Write:
    """The write that is answered in this cycle for the first time: its effects must be visible now."""

    def __init__(self, m: Module, bus):
        address, data = Signal(len(bus.aw.payload.addr)), Signal(bus.w.payload.shape())
        with m.If(bus.aw.valid & bus.aw.ready):
            m.d.sync += address.eq(bus.aw.payload.addr)
        with m.If(bus.w.valid & bus.w.ready):
            m.d.sync += data.eq(bus.w.payload)
        stalled = Signal()
        m.d.sync += stalled.eq(bus.b.valid & ~bus.b.ready)
        self.answered: Value = bus.b.valid & ~stalled
        first_strobe = Array([Const(1), data.strb[:2] == 2, data.strb[:3] == 4, data.strb == 8])[address[:2]]
        self._index = address[2:]
        self.is_word: Value = first_strobe & (self._index < len(PROVEN_MAP.registers))
        self.data: Value = data.data
        self.mask: Value = Cat(strobe.replicate(8) for strobe in data.strb)

    def of(self, index: int) -> Value:
        """Whether it is this word that is written."""
        return self.answered & self.is_word & (self._index == index)


def bank_rules(m: Module, unit: RegisterBank) -> None:
    """One answer a request, of the right kind; a write does what it strobes, once; a read tells the truth."""
    write = _Write(m, unit.bus)
    _write_answers(m, unit.bus, write)
    live = Signal(2)
    m.d.comb += [live.eq(AnySeq(2)), unit.sticky_live.eq(live)]
    kept = _kept(m, unit, write)
    seen = _seen(m, unit, write)
    pulse = Mux(write.of(GO), write.data & write.mask, 0)[:9]
    m.d.comb += Assert(unit.go == pulse, "a pulse is missing, doubled or wrong")
    _reads(m, unit.bus, Array([kept, Cat(seen, Const(0, 15), live), Const(0, 32), Const(0, 32)]))


def _write_answers(m: Module, bus, write: _Write) -> None:
    addresses, words, answers = Signal(5), Signal(5), Signal(5)
    m.d.sync += [
        addresses.eq(addresses + (bus.aw.valid & bus.aw.ready)),
        words.eq(words + (bus.w.valid & bus.w.ready)),
        answers.eq(answers + write.answered),
    ]
    with m.If(write.answered):
        m.d.comb += [
            Assert((addresses != answers) & (words != answers), "an answer to no write"),
            Assert(
                Value.cast(bus.b.payload.resp) == Mux(write.is_word, Response.OKAY, Response.SLVERR),
                "a write is answered wrongly",
            ),
        ]
    asked = (addresses != answers) & (words != answers)
    waits = AXI4LiteWords.WRITE_LATENCY - 1
    assert_bounded_wait(m, asked & ~bus.b.valid, cycles=waits, message="a write is not answered")
    for channel, count, name in ((bus.aw, addresses, "address"), (bus.w, words, "word")):
        m.d.comb += Assert((count - answers)[:5] <= 1, f"two of kind {name} inside")
        free = (count == answers) & ~channel.ready
        m.d.comb += Assert(~free, f"nothing inside, but no {name} is taken")
    m.d.comb += [
        Cover(answers == 3, "three writes answered"),
        Cover(bus.b.valid & ~write.answered & asked, "a write waits behind an answer that is not taken"),
        Cover(write.answered & ~write.is_word, "a write refused"),
    ]


def _kept(m: Module, unit: RegisterBank, write: _Write) -> Value:
    """The read-write field, as it must stand in this cycle."""
    before, now = Signal(9, init=0x101), Signal(9)
    merged = (before & ~write.mask) | (write.data & write.mask)
    m.d.comb += [
        now.eq(Mux(write.of(KEPT), merged, before)),
        Assert(unit.kept == now, "a read-write field is not what was written"),
        Cover(now == 0x0FE, "both bytes written"),
    ]
    m.d.sync += before.eq(now)
    return now


def _seen(m: Module, unit: RegisterBank, write: _Write) -> Value:
    """The sticky field, as it must stand in this cycle, while it is set and cleared at will."""
    before, now, raised, cleared = Signal(2), Signal(2), Signal(2), Signal()
    m.d.comb += [unit.sticky_seen_set.eq(AnySeq(2)), unit.clear.eq(AnySeq(1))]
    m.d.sync += [raised.eq(unit.sticky_seen_set), cleared.eq(unit.clear), before.eq(now)]
    ones = Mux(write.of(STICKY), write.data & write.mask, 0)
    m.d.comb += [
        now.eq(Mux(cleared, 0, before & ~ones) | raised),
        Assert(unit.sticky_seen == now, "a sticky field lost a bit, or kept one that was cleared"),
        Cover((before == 3) & (now == 1) & ~cleared, "one bit of two cleared by the host"),
    ]
    return now


def _reads(m: Module, bus, words: Array) -> None:
    """A read tells what its word held in the cycle after its address was taken."""
    address, wanted, asked = Signal.like(bus.ar.payload.addr), Signal(32), Signal()
    age = Signal(range(AXI4LiteWords.READ_LATENCY + 1))  # cycles since the address was taken
    refused = (address[:2] != 0) | (address[2:] >= len(PROVEN_MAP.registers))
    answered = asked & (age == AXI4LiteWords.READ_LATENCY)
    with m.If(bus.ar.valid & bus.ar.ready):
        m.d.sync += [address.eq(bus.ar.payload.addr), asked.eq(1), age.eq(1)]
    with m.Elif(asked & (age != AXI4LiteWords.READ_LATENCY)):
        m.d.sync += age.eq(age + 1)
    with m.Elif(bus.r.ready):
        m.d.sync += asked.eq(0)
    with m.If(age == 1):
        m.d.sync += wanted.eq(Mux(refused, 0, words[address[2:]]))
    m.d.comb += [
        Assert(bus.r.valid == answered, "an answer to no read, or a read that is not answered in time"),
        Assert(asked | bus.ar.ready, "nothing inside, but no address is taken"),
        Assert(~(asked & bus.ar.ready), "a read is taken while another one's answer waits"),
        Cover(answered & refused, "a read refused"),
    ]
    with m.If(answered):
        m.d.comb += [
            Assert(bus.r.payload.data == wanted, "a read does not tell what the word held"),
            Assert(
                Value.cast(bus.r.payload.resp) == Mux(refused, Response.SLVERR, Response.OKAY),
                "a read is answered wrongly",
            ),
        ]


CONTROL_PROOFS = (
    Proof(unit="bus RegisterBank", contract=lambda: Contract(RegisterBank(PROVEN_MAP), bank_rules), depth=16),
)
