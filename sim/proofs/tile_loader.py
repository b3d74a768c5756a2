"""What the loader of the tile engine promises: to read what an instruction names, and to fill windows."""

from __future__ import annotations

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Array, Assert, Assume, Cat, Const, Cover, Module, Mux, Signal, Value
from amaranth.lib import data

from hw.tile.instruction import Opcode, layout
from hw.tile.loader import Loader

from .runner import Proof
from .stream_contract import Contract, assert_bounded_wait
from .tile import SMALL

__all__ = ["LOADER_PROOFS", "plane_rules", "residual_rules", "window_rules"]

#: Words that fold pixels of other sizes.
WIDE = SMALL.replace(channels=16)


def _loading(unit: Loader):
    """The instruction that is offered, as features and as weights, and whether it is features."""
    offered = unit.i.payload
    features, weights = (
        data.View(layout(opcode), offered[8 : 8 + layout(opcode).size])
        for opcode in (Opcode.LOAD_FEATURES, Opcode.LOAD_WEIGHTS)
    )
    return features, weights, offered[:8] == Opcode.LOAD_FEATURES


def plane_rules(m: Module, unit: Loader) -> None:
    """Every plane is asked for once, where the instruction puts it, after what the instruction waits for.

    Of memory or of the maps on chip, whichever it names, and after the rows that are stored there. Addresses
    have zeros from bit 6 to 27, as in the storer's proof.
    """
    features, weights, is_features = _loading(unit)
    opens = unit.i.valid & unit.i.ready
    at, stride, left, length = Signal(48), Signal(32), Signal(11), Signal(32)
    halted, kept = Signal(), Signal()
    fits = at + length <= Mux(kept, unit.preset.kept_words * unit.preset.channels, unit.limit)
    request, kept_request = unit.request, unit.kept_request
    asks, may_ask = request.valid | kept_request.valid, (left != 0) & fits & ~halted
    m.d.comb += [
        unit.base.eq(AnyConst(len(unit.base))),
        unit.limit.eq(AnyConst(32)),
        Assume(is_features | (unit.i.payload[:8] == Opcode.LOAD_WEIGHTS)),
        *(Assume(each[6:28] == 0) for each in (unit.base, unit.limit, features.addr, features.stride)),
        Assume(weights.beats[6:] == 0),
        Assert(~request.valid | (may_ask & ~kept), "a plane is asked for that is not wanted"),
        Assert(~kept_request.valid | (may_ask & kept), "a plane is asked for on chip that is not wanted"),
        Assert(~unit.outside | ((left != 0) & ~fits & ~halted), "leaving the arena is reported in error"),
        Assert(~opens | (left == 0), "an instruction before the last one's planes are asked for"),
        Cover(unit.outside & (at[6:] != 0) & ~kept, "a later plane leaves the arena"),
        Cover(kept_request.valid & (left == 1) & (stride != 0), "a later plane on chip"),
    ]
    for name in ("computed", "stored", "stored_kept"):
        count = getattr(unit, name)
        before = Signal.like(count, name=f"{name}_before")
        m.d.sync += before.eq(count)
        m.d.comb += [count.eq(AnySeq(len(count))), Assume(count >= before)]
    assert_bounded_wait(
        m, (left != 0) & ~halted & ~asks & ~unit.outside, cycles=1, message="a plane is forgotten"
    )
    with m.If(request.valid):
        m.d.comb += [
            Assert(request.payload.addr == (unit.base + at)[: len(unit.base)], "a plane in the wrong place"),
            Assert(request.payload.length == length, "a plane of the wrong length"),
        ]
    with m.If(kept_request.valid):
        m.d.comb += [
            Assert(kept_request.payload.addr == at[3:19], "a plane on chip in the wrong place"),
            Assert(kept_request.payload.words << 3 == length, "a plane on chip of the wrong length"),
        ]
    with m.If(unit.outside):
        m.d.comb += Assert(unit.outside_addr == at[:32], "the wrong address is reported")
        m.d.sync += halted.eq(1)
    with m.If((request.valid & request.ready) | (kept_request.valid & kept_request.ready)):
        m.d.sync += [at.eq(at + stride), left.eq(left - 1)]
    with m.If(opens):
        computed = unit.computed >= Mux(is_features, features.wait_compute, weights.wait_compute)
        stored = ~is_features | (Mux(features.kept, unit.stored_kept, unit.stored) >= features.wait_store)
        m.d.comb += Assert(computed & stored, "an instruction that has to wait")
        words = Mux(is_features, features.words, weights.beats)
        planes = Mux(is_features, Mux(features.words == 0, 0, features.last_plane + 1), 1)
        m.d.sync += [at.eq(features.addr), stride.eq(features.stride), left.eq(planes)]
        m.d.sync += [length.eq(words * unit.preset.channels), kept.eq(is_features & features.kept)]


def _one_load(m: Module, unit: Loader):
    """The fields of a load, and when one is complete, which takes as many words as it has to.

    All instructions are the same load of one plane of a few columns, which the solver chooses. Every byte of
    data, from memory or from the chip, is the number of its word within the load and, above it, its own
    number within the word.
    """
    row, _, is_features = _loading(unit)
    size = unit.i.payload.shape().width
    chosen, before, taken = Signal(size), Signal.like(unit.complete), Signal(4)
    done, word = unit.complete != before, _numbered(unit, taken)
    m.d.sync += before.eq(unit.complete)
    m.d.comb += [
        chosen.eq(AnyConst(size)),
        Assume(unit.i.payload == chosen),
        Assume(is_features & (row.last_plane == 0) & (row.wait_compute == 0) & (row.wait_store == 0)),
        Assume((row.addr == 0) & (row.stride == 0) & (row.plane_step == 0) & (row.base[4:] == 0)),
        Assume((row.left < 3) & (row.columns < 4) & (row.right < 3) & (row.words < 4)),
        Assume((row.lane_step < 8) & (row.window < 8) & (~row.skip | row.twice)),
        unit.limit.eq(32 * unit.preset.channels),
        Assume((unit.data.payload.data == word) & (unit.kept_data.payload == word)),
        Assert(~Mux(row.kept, unit.data.ready, unit.kept_data.ready), "it takes words that are not its own"),
        Cover(unit.complete == 1, "a load is complete"),
    ]
    with m.If((unit.data.valid & unit.data.ready) | (unit.kept_data.valid & unit.kept_data.ready)):
        m.d.sync += taken.eq(taken + 1)
    with m.If(done):
        due = Mux(row.twice & (row.columns != 0), (row.columns + row.skip + 1) >> 1, row.columns)
        m.d.comb += Assert(taken == due, "a load takes more words than are its own, or fewer")
        m.d.sync += taken.eq(0)
    return row, done


def window_rules(m: Module, unit: Loader) -> None:
    """The window of each pixel lane gets its columns in order, without a gap, and each what belongs there.

    Addresses wrap within the part of the banks in which the first one lies.
    """
    row, done = _one_load(m, unit)
    total, part = row.left + row.columns + row.right, (unit.preset.feature_words - 1) >> row.share
    codes = range(1, len(unit.preset.fold_bytes) + 1)
    folds = [0, *(unit.preset.channels // size - 1 for size in unit.preset.fold_bytes)]
    more = Signal(range(unit.preset.channels))  # pixels of a word but one
    m.d.comb += [
        more.eq(Array(folds)[row.fold]),
        Assume((row.fold <= codes[-1]) & ~row.residual),
        *(Cover(unit.bank_write.all() & (row.fold == code), "a folded word for each lane") for code in codes),
    ]
    for lane in range(unit.preset.pixels):
        written, first = Signal(5, name=f"written_{lane}"), row.lane_step * lane
        word = _word(unit, row, first + written)
        at = row.base & ~part | (row.base + written) & part
        with m.If(unit.bank_write[lane]):
            m.d.sync += written.eq(written + 1)
            m.d.comb += [
                Assert(written < row.window, f"lane {lane}: a write beyond its window"),
                Assert(
                    unit.bank_addr[lane] == at[:16], f"lane {lane}: a gap, a step back, or out of its part"
                ),
                Assert(unit.bank_data == word, f"lane {lane}: the wrong word"),
            ]
        with m.If(done):
            rest = Mux(first + more < total, total - first - more, 0)
            wanted = Mux(rest < row.window, rest, row.window)
            m.d.comb += Assert(written == wanted, f"lane {lane}: its window is not full")
            m.d.sync += written.eq(0)


def _numbered(unit: Loader, number: Value) -> Value:
    """A word of data."""
    return Cat(Cat(number[:4], Const(byte, 4)) for byte in range(unit.preset.channels))


def _word(unit: Loader, row, column: Value) -> Value:
    """What belongs at a column of the row: its pixel, or the low bytes of as many from there on as fold."""
    lanes = unit.preset.channels

    def pixel(at: Value) -> Value:
        inside = at - row.left
        number = Mux(row.twice, (inside + row.skip) >> 1, inside)
        outside = (at < row.left) | (inside >= row.columns)
        return Mux(outside, row.fill.replicate(lanes), _numbered(unit, number.as_unsigned()))

    words = [pixel(column)]
    for size in unit.preset.fold_bytes:
        words.append(Cat(pixel(column + place)[: 8 * size] for place in range(lanes // size)))
    return Array(words)[row.fold]


def residual_rules(m: Module, unit: Loader) -> None:
    """Each row that the storer adds goes to a slot of its own, whole, and not before that is free.

    Rows are short, so that there are more of them than slots within the depth of the proof.
    """
    row, done = _one_load(m, unit)
    preset, total = unit.preset, row.left + row.columns + row.right
    slot, word = Signal(range(preset.row_slots)), Signal(range(preset.row_words + 1))
    held, ready = Signal(range(preset.row_slots + 1)), Signal()
    m.d.sync += [held.eq(held + unit.residual_ready - unit.residual_freed), ready.eq(unit.residual_ready)]
    m.d.comb += [
        unit.residual_freed.eq(AnySeq(1)),
        Assume(~unit.residual_freed | (held != 0)),
        Assume(
            row.residual
            & (row.left < 2)
            & (row.columns < 3)
            & (row.right == 0)
            & ~row.twice
            & (row.fold == 0)
        ),
        Assert(~unit.bank_write.any(), "a residual row in the banks"),
        Assert(ready == done, "a row is said to be there that is not, or one that is there is not"),
        Cover(unit.residual_ready & (held == preset.row_slots - 1), "every slot holds a row"),
    ]
    with m.If(unit.residual_write):
        m.d.sync += word.eq(word + 1)
        m.d.comb += [
            Assert(held != preset.row_slots, "a row overwritten that is still to be added"),
            Assert(unit.residual_addr == slot * preset.row_words + word, "a word lost, doubled or misplaced"),
            Assert(unit.bank_data == _word(unit, row, word), "the wrong word"),
        ]
    with m.If(done):
        m.d.comb += Assert(word == total, "a row is not whole")
        m.d.sync += [word.eq(0), slot.eq(slot + 1)]


LOADER_PROOFS = (
    Proof(unit="tile Loader, planes", contract=lambda: Contract(Loader(SMALL), plane_rules), depth=10),
    Proof(unit="tile Loader, windows", contract=lambda: Contract(Loader(SMALL), window_rules), depth=14),
    Proof(
        unit="tile Loader, windows of 16 lanes",
        contract=lambda: Contract(Loader(WIDE), window_rules),
        depth=14,
    ),
    Proof(unit="tile Loader, residuals", contract=lambda: Contract(Loader(SMALL), residual_rules), depth=16),
)
