"""What the units of the tile engine promise, whatever the program and however memory and neighbours stall."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Mux, Signal, Value, signed
from amaranth.lib import data

from hw.arith.requantise import SHIFT_MAX, Requantise
from hw.stream import Fifo
from hw.tile.fetch import UNITS, Fetch
from hw.tile.instruction import BITS, Opcode, layout
from hw.tile.preset import Preset
from hw.tile.residual import SUM, Residual
from hw.tile.storer import Storer

from .runner import Proof
from .stream_contract import Contract, Follower, assert_bounded_wait

__all__ = ["TILE_PROOFS", "fetch_rules", "requantise_rules", "request_rules", "row_rules"]

#: Beats as wide as half an instruction, and the shallowest queues.
FETCH = {"bus_bits": BITS // 2, "depth": 4}
#: The smallest that has several rows, several words a row, and banks that can be cut as often as any.
SMALL = Preset(
    name="proof", pixels=2, channels=8, feature_words=16, weight_words=4, row_words=4, kept_words=16,
    row_slots=2,
)  # fmt: skip
#: Bits of an accumulator, as the presets have them.
REQUANTISE_BITS = 26


def fetch_rules(m: Module, unit: Fetch) -> None:
    """Each instruction goes to its unit, whole and in order; after an illegal one, nothing goes anywhere.

    The bytes in the middle of a beat are zero: an exclusive or over all of them keeps the solver for hours.
    """
    code, width = unit.i, len(unit.i.payload.data)
    last = BITS // width - 1
    collected, index = Signal(BITS - width), Signal(range(last + 1))
    ended, stopped, found, number = Signal(), Signal(), Signal(), Signal(6)
    word = Cat(collected, code.payload.data)
    moves = code.valid & code.ready
    whole = moves & (index == last) & ~ended & ~stopped
    legal = _is_legal(word)

    m.d.comb += Assume(code.payload.data[8:-8] == 0)
    # A program begins after the last one's end, and its code comes later than the start.
    m.d.comb += [unit.start.eq(AnySeq(1)), Assume(~unit.start | ~code.valid)]
    m.d.comb += Assume(~unit.start | ended | ((index == 0) & (number == 0) & ~stopped))
    with m.If(moves):
        m.d.sync += [collected.eq(word[width:]), index.eq(Mux(index == last, 0, index + 1))]
    m.d.sync += found.eq(whole & ~legal)
    with m.If(whole):
        m.d.sync += [number.eq(number + 1), ended.eq(word[:8] == Opcode.END), stopped.eq(~legal)]
        with m.If(~legal):
            m.d.sync += [number.eq(number), ended.eq(0)]
    with m.If(unit.start):
        m.d.sync += [index.eq(0), number.eq(0), ended.eq(0)]

    m.d.comb += Assert(unit.illegal == found, "an illegal instruction is not reported, or a legal one is")
    with m.If(unit.illegal):
        m.d.comb += Assert(unit.number[: len(number)] == number, "the wrong instruction is reported")
    m.d.comb += [
        Assert(~unit.end | ended, "the end without END"),
        Cover(found & (number == 2), "a bad third"),
    ]
    inside = []
    for name, opcodes, port in zip(("loader", "sequencer", "storer"), UNITS, unit.units, strict=True):
        follower = Follower(m, name, item_bits=len(_ends(word, width)))
        mine = Cat(word[:8] == opcode for opcode in opcodes).any()
        follower.enter(whole & legal & mine, _ends(word, width))
        follower.leave(port.valid & port.ready, _ends(port.payload, width))
        held = follower.inside != 0
        # One cycle to check it, and the queue's own latency.
        assert_bounded_wait(m, held & ~port.valid, cycles=4, message=f"{name}: an instruction stays inside")
        inside.append(held)
    settled = Signal(2)
    m.d.sync += settled.eq(Cat(unit.end, settled))
    with m.If(unit.end & settled.all() & unit.empty):
        m.d.comb += Assert(~Cat(inside).any(), "empty with instructions inside")


def _ends(word: Value, width: int) -> Value:
    """Of an instruction, the bytes that are not always zero."""
    beats = [word.word_select(beat, width) for beat in range(BITS // width)]
    return Cat(Cat(beat[:8], beat[-8:]) for beat in beats)


def _is_legal(word: Value) -> Value:
    """By the description of an instruction, not by the unit's lists."""
    sound = reduce(xor, (word.word_select(byte, 8) for byte in range(BITS // 8))) == 0
    return sound & Cat(word[:8] == opcode for opcode in Opcode).any()


def _storing(unit: Storer):
    """The instruction that is offered, and whether it is taken."""
    size = layout(Opcode.STORE).size
    return data.View(layout(Opcode.STORE), unit.i.payload[8 : 8 + size]), unit.i.valid & unit.i.ready


def request_rules(m: Module, unit: Storer) -> None:
    """Every row is asked for once, where the instruction puts it; beyond the arena nothing, and that is said.

    Rows that are kept on chip are not asked for, but must lie within what is there. Addresses have zeros from
    bit 6 to 27: it is the edges that are proven, not adders.
    """
    op, opens = _storing(unit)
    # Wide enough for every row of an instruction: these never wrap.
    at, stride, left, length = Signal(48), Signal(32), Signal(11), Signal(16)
    asked, passed, halted, kept = Signal(6), Signal(6), Signal(), Signal()
    fits = at + length <= Mux(kept, unit.preset.kept_words * unit.preset.channels, unit.limit)
    request = unit.request
    m.d.comb += [unit.base.eq(AnyConst(len(unit.base))), unit.limit.eq(AnyConst(32))]
    m.d.comb += [Assume(each[6:28] == 0) for each in (unit.base, unit.limit, op.addr, op.stride)]
    m.d.comb += [
        Assert(request.valid == ((left != 0) & fits & ~kept), "a row is not asked for, or one too many"),
        Assert(unit.outside == ((left != 0) & ~fits & ~halted), "leaving the arena is reported once"),
        Assert(~opens | (left == 0), "an instruction before the last one's rows are asked for"),
        Assert(unit.requested[: len(asked)] == asked, "requests are miscounted"),
        Cover(unit.outside & (asked == 2), "the third row leaves the arena"),
        Cover(unit.outside & (passed == 2) & kept, "the third row finds no room on chip"),
    ]
    with m.If(request.valid):
        m.d.comb += [
            Assert(request.payload.addr == (unit.base + at)[: len(unit.base)], "a row in the wrong place"),
            Assert(request.payload.length == length, "a row of the wrong length"),
        ]
    with m.If(unit.outside):
        m.d.comb += Assert(unit.outside_addr == at[:32], "the wrong address is reported")
        m.d.sync += halted.eq(1)
    with m.If(request.valid & request.ready):
        m.d.sync += asked.eq(asked + 1)
    with m.If((request.valid & request.ready) | ((left != 0) & fits & kept)):
        m.d.sync += [at.eq(at + stride), left.eq(left - 1), passed.eq(passed + 1)]
    with m.If(opens):
        m.d.sync += [at.eq(op.addr), stride.eq(op.stride), left.eq(op.last_row + 1), kept.eq(op.kept)]
        m.d.sync += length.eq(op.words * unit.preset.channels)


class _Rows:
    """Rows in slots that are used in turn, which come when the solver likes, as far as there is a slot."""

    def __init__(self, m: Module, preset: Preset, ready: Value, freed: Value):
        self.there = Signal(range(preset.row_slots + 1))
        m.d.comb += [
            ready.eq(AnySeq(1)),
            Assume(~ready | (self.there != preset.row_slots)),
            Assert(~freed | (self.there != 0), "a slot is freed that holds nothing"),
        ]
        m.d.sync += self.there.eq(self.there + ready - freed)


def row_rules(m: Module, unit: Storer) -> None:
    """Each row leaves whole, in its order, to memory or to its place on chip, none before all that it needs.

    One row, whose number the solver chooses, is followed. All instructions have as many words a row, which
    the solver chooses too. What comes back for an address is the address, that of the residual row, whether
    there were rows then, and what is to become of the word.
    """
    preset, addr_bits = unit.preset, len(unit.addr)
    op, opens = _storing(unit)
    words, due = Signal(range(preset.row_words + 1)), Signal(6)
    active = data.View(op.shape(), Signal(op.shape().size, name="active"))
    slots = _Rows(m, preset, unit.row_ready, unit.freed)
    residuals = _Rows(m, preset, unit.residual_ready, unit.residual_freed)
    read = Cat(unit.addr, unit.residual_addr, slots.there != 0, residuals.there != 0)
    adds = _delayed(m, unit.adds, Residual.LATENCY_CYCLES + 1)
    how = _delayed(m, Cat(unit.how[name] for name in SUM.members), Residual.LATENCY_CYCLES)
    m.d.comb += [
        words.eq(AnyConst(len(words))),
        Assume((words > 0) & (words <= preset.row_words)),
        Assume(~unit.i.valid | (op.words == words)),
        # All lie where there is room; the edges are `request_rules`' matter.
        Assume((op.last_row < 4) & (op.addr < 32) & (op.stride < 32)),
        Assume((op.addr[:3] == 0) & (op.stride[:3] == 0)),
        unit.limit.eq(preset.kept_words * preset.channels),
        unit.word.eq(Cat(_delayed(m, read, unit.READ_CYCLES), adds, how)),
    ]
    with m.If(opens):
        m.d.sync += active.eq(op)
    m.d.sync += due.eq(due + Mux(opens, op.last_row + 1, 0) - unit.freed)
    m.d.comb += [
        Assert(~unit.freed | (due != 0), "a row that no instruction stores"),
        Assert(unit.residual_freed == (unit.freed & active.adds), "a residual row is kept, or another freed"),
        Assert(~unit.idle | (due == 0), "idle before every row is read"),
    ]
    chosen = _ChosenRow(m, op, opens)
    exits = (
        (unit.data.valid & unit.data.ready, unit.data.payload.data),
        (unit.kept_write, unit.word),
    )
    for kept, (moves, found) in enumerate(exits):
        word, row = Signal(range(preset.row_words), name=f"word_{kept}"), Signal(5, name=f"row_{kept}")
        last, is_chosen = word == words - 1, chosen.known & (chosen.op.kept == kept) & (chosen.place == row)
        with m.If(moves):
            m.d.comb += Assert(row != chosen.opened[kept], "a word that no instruction stores")
            m.d.sync += word.eq(word + 1)
            with m.If(last):
                m.d.sync += [word.eq(0), row.eq(row + 1)]
        with m.If(moves & is_chosen):
            adds, place = chosen.op.adds, chosen.number * preset.row_words + word
            sums = chosen.sums * preset.row_words + word
            residual, (there, other) = found[addr_bits : 2 * addr_bits], found[2 * addr_bits :][:2]
            m.d.comb += [
                Assert(there & (other | ~adds), "a word before its row is ready"),
                Assert(found[:addr_bits] == place[:addr_bits], "a word lost, doubled or misplaced"),
                Assert(~adds | (residual == sums[:addr_bits]), "a word of another residual row is added"),
                Assert(
                    found[2 * addr_bits + 2 :][: 1 + SUM.size]
                    == Cat(chosen.op[name] for name in ("adds", *SUM.members)),
                    "what another instruction asks for is done to a word",
                ),
                Cover(last & adds & (chosen.number != chosen.place), "a sum after a row of the other kind"),
            ]
            if kept:
                m.d.comb += Assert(unit.kept_addr == (chosen.at >> 3) + word, "a word in the wrong place")
        if kept:
            m.d.comb += Assert(unit.kept == (moves & last), "rows on chip are miscounted")
    complete = (slots.there != 0) & ((residuals.there != 0) | ~active.adds)
    waits = (due != 0) & complete & ~unit.data.valid & ~unit.kept_write
    assert_bounded_wait(m, waits, cycles=STORER_WAIT, message="a ready row stays inside")


class _ChosenRow:
    """One row of all that instructions store, whose number the solver chooses, and what is asked of it."""

    def __init__(self, m: Module, op, opens: Value):
        self.op = data.View(op.shape(), Signal(op.shape().size, name="chosen_op"))
        self.known, self.number, self.at = Signal(), Signal(3), Signal(8)
        #: How many rows with the same way out were before it, and how many to which one is added.
        self.place, self.sums = Signal(5), Signal(5)
        #: Rows of all instructions so far, to memory and to the chip.
        self.opened = Signal(5, name="opened_0"), Signal(5, name="opened_1")
        sums, rows = Signal(5), op.last_row + 1
        before = self.opened[0] + self.opened[1]
        index = (self.number - before)[:2]
        m.d.comb += self.number.eq(AnyConst(3))
        with m.If(opens):
            m.d.sync += sums.eq(sums + Mux(op.adds, rows, 0))
            for kept, opened in enumerate(self.opened):
                m.d.sync += opened.eq(opened + Mux(op.kept == kept, rows, 0))
        with m.If(opens & (self.number >= before) & (self.number < before + rows)):
            m.d.sync += [
                self.known.eq(1),
                self.op.eq(op),
                self.place.eq(Mux(op.kept, self.opened[1], self.opened[0]) + index),
                self.sums.eq(sums + index),
                self.at.eq(op.addr + index * op.stride),
            ]


#: From a row's being ready to its first word: the way through the sums, and the queue.
STORER_WAIT = Storer.READ_CYCLES + Fifo.LATENCY_CYCLES


def requantise_rules(m: Module, unit: Requantise) -> None:
    """Equal to the arithmetic of its golden twin for all numbers, shifts and limits at once.

    The unit keeps nothing from one number to the next, so a bound beyond its latency leaves nothing out.
    """
    bits = len(unit.x)
    m.d.comb += [
        port.eq(AnySeq(len(port))) for port in (unit.x, unit.bias, unit.shift, unit.low, unit.high, unit.raw)
    ]
    total = Signal(signed(bits + 1))
    m.d.comb += [
        total.eq(unit.x + unit.bias),
        Assume((total >= -(1 << bits - 1)) & (total < 1 << bits - 1)),
        Assume(unit.shift <= SHIFT_MAX),
        Assume(unit.low <= unit.high),
    ]
    total, shift = (_delayed(m, value, unit.LATENCY_CYCLES) for value in (total, unit.shift))
    limits = unit.LATENCY_CYCLES - unit.LIMITS_CYCLES
    low, high, raw = (_delayed(m, value, limits) for value in (unit.low, unit.high, unit.raw))
    floor = total >> shift
    rest = total & ((1 << shift) - 1)
    nearest = floor + ((2 * rest > 1 << shift) | ((2 * rest == 1 << shift) & floor[0]))
    expected = Mux(raw, floor[:8], Mux(nearest < low, low, Mux(nearest > high, high, nearest[:8])))
    full = Signal(range(unit.LATENCY_CYCLES + 1))
    with m.If(full != unit.LATENCY_CYCLES):
        m.d.sync += full.eq(full + 1)
    with m.Else():
        m.d.comb += Assert(unit.y == expected, "not what the golden twin computes")
        tie = (2 * rest == 1 << shift) & ~raw & (unit.y == nearest) & (shift == bits - 2)
        m.d.comb += Cover(tie & (unit.y == 2), "a tie rounded up to even")


def _delayed(m: Module, value: Value, cycles: int) -> Signal:
    for index in range(cycles):
        later = Signal(value.shape(), name=f"expected_{index}")
        m.d.sync += later.eq(value)
        value = later
    return value


TILE_PROOFS = (
    Proof(unit="tile Fetch", contract=lambda: Contract(Fetch(**FETCH), fetch_rules), depth=13),
    Proof(unit="tile Storer, requests", contract=lambda: Contract(Storer(SMALL), request_rules), depth=12),
    Proof(unit="tile Storer, rows", contract=lambda: Contract(Storer(SMALL), row_rules), depth=15),
    Proof(
        unit="tile Requantise",
        contract=lambda: Contract(Requantise(bits=REQUANTISE_BITS), requantise_rules),
        depth=Requantise.LATENCY_CYCLES + 2,
    ),
)
