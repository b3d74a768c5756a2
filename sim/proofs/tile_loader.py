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

__all__ = ["LOADER_PROOFS", "plane_rules", "window_rules"]

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

    Addresses have zeros from bit 6 to 27, as in the storer's proof.
    """
    features, weights, is_features = _loading(unit)
    opens = unit.i.valid & unit.i.ready
    at, stride, left, length = Signal(48), Signal(32), Signal(11), Signal(32)
    halted = Signal()
    fits = at + length <= unit.limit
    request = unit.request
    m.d.comb += [
        unit.base.eq(AnyConst(len(unit.base))),
        unit.limit.eq(AnyConst(32)),
        Assume(is_features | (unit.i.payload[:8] == Opcode.LOAD_WEIGHTS)),
        *(Assume(each[6:28] == 0) for each in (unit.base, unit.limit, features.addr, features.stride)),
        Assume(weights.beats[6:] == 0),
        Assert(~request.valid | ((left != 0) & fits & ~halted), "a plane is asked for that is not wanted"),
        Assert(~unit.outside | ((left != 0) & ~fits & ~halted), "leaving the arena is reported in error"),
        Assert(~opens | (left == 0), "an instruction before the last one's planes are asked for"),
        Cover(unit.outside & (at[6:] != 0), "a later plane leaves the arena"),
    ]
    for name in ("computed", "stored"):
        count = getattr(unit, name)
        before = Signal.like(count, name=f"{name}_before")
        m.d.sync += before.eq(count)
        m.d.comb += [count.eq(AnySeq(len(count))), Assume(count >= before)]
    assert_bounded_wait(
        m, (left != 0) & ~halted & ~request.valid & ~unit.outside, cycles=1, message="a plane is forgotten"
    )
    with m.If(request.valid):
        m.d.comb += [
            Assert(request.payload.addr == (unit.base + at)[: len(unit.base)], "a plane in the wrong place"),
            Assert(request.payload.length == length, "a plane of the wrong length"),
        ]
    with m.If(unit.outside):
        m.d.comb += Assert(unit.outside_addr == at[:32], "the wrong address is reported")
        m.d.sync += halted.eq(1)
    with m.If(request.valid & request.ready):
        m.d.sync += [at.eq(at + stride), left.eq(left - 1)]
    with m.If(opens):
        computed = unit.computed >= Mux(is_features, features.wait_compute, weights.wait_compute)
        stored = ~is_features | (unit.stored >= features.wait_store)
        m.d.comb += Assert(computed & stored, "an instruction that has to wait")
        words = Mux(is_features, features.words, weights.beats)
        planes = Mux(is_features, Mux(features.words == 0, 0, features.last_plane + 1), 1)
        m.d.sync += [at.eq(features.addr), stride.eq(features.stride), left.eq(planes)]
        m.d.sync += length.eq(words * unit.preset.channels)


def window_rules(m: Module, unit: Loader) -> None:
    """The window of each pixel lane gets its columns in order, without a gap, and each what belongs there.

    All instructions are the same load of one plane of a few columns, which the solver chooses. Every byte of
    data is the number of its word within the load and, above it, its own number within the word.
    """
    row, _, is_features = _loading(unit)
    size = unit.i.payload.shape().width
    chosen = Signal(size)
    total = row.left + row.columns + row.right
    m.d.comb += [
        chosen.eq(AnyConst(size)),
        Assume(unit.i.payload == chosen),
        Assume(is_features & (row.last_plane == 0) & (row.wait_compute == 0) & (row.wait_store == 0)),
        Assume((row.addr == 0) & (row.stride == 0) & (row.plane_step == 0) & (row.base[4:] == 0)),
        Assume((row.left < 3) & (row.columns < 4) & (row.right < 3) & (row.words < 4)),
        Assume((row.lane_step < 8) & (row.window < 8) & (~row.skip | row.twice)),
        unit.limit.eq(32 * unit.preset.channels),
    ]
    codes = range(1, len(unit.preset.fold_bytes) + 1)
    before, taken = Signal.like(unit.complete), Signal(4)
    done = unit.complete != before
    m.d.sync += before.eq(unit.complete)
    m.d.comb += [
        Assume(unit.data.payload.data == _numbered(unit, taken)),
        Cover(unit.complete == 1, "a load is complete"),
        *(Cover(unit.bank_write.all() & (row.fold == code), "a folded word for each lane") for code in codes),
    ]
    with m.If(unit.data.valid & unit.data.ready):
        m.d.sync += taken.eq(taken + 1)
    with m.If(done):
        due = Mux(row.twice & (row.columns != 0), (row.columns + row.skip + 1) >> 1, row.columns)
        m.d.comb += Assert(taken == due, "a load takes more words than are its own, or fewer")
        m.d.sync += taken.eq(0)
    folds = [0, *(unit.preset.channels // size - 1 for size in unit.preset.fold_bytes)]
    more = Signal(range(unit.preset.channels))  # pixels of a word but one
    m.d.comb += [more.eq(Array(folds)[row.fold]), Assume(row.fold <= codes[-1])]
    for lane in range(unit.preset.pixels):
        written, first = Signal(5, name=f"written_{lane}"), row.lane_step * lane
        word = _word(unit, row, first + written)
        with m.If(unit.bank_write[lane]):
            m.d.sync += written.eq(written + 1)
            m.d.comb += [
                Assert(written < row.window, f"lane {lane}: a write beyond its window"),
                Assert(
                    unit.bank_addr[lane] == (row.base + written)[:16], f"lane {lane}: a gap or a step back"
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


LOADER_PROOFS = (
    Proof(unit="tile Loader, planes", contract=lambda: Contract(Loader(SMALL), plane_rules), depth=10),
    Proof(unit="tile Loader, windows", contract=lambda: Contract(Loader(SMALL), window_rules), depth=14),
    Proof(
        unit="tile Loader, windows of 16 lanes",
        contract=lambda: Contract(Loader(WIDE), window_rules),
        depth=14,
    ),
)
