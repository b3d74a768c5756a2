"""What each unit of hw/stream promises, beyond the handshake rules that `Contract` asserts for all."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.asserts import AnyConst
from amaranth.hdl import Array, Assert, Assume, Cat, Cover, Module, Mux, Signal, Value
from amaranth.lib import wiring

from hw.stream import Arbiter, Fifo, Fork, Join, Packet, SkidBuffer, WidthConverter

from .runner import Proof
from .stream_contract import Contract, Follower, assert_bounded_wait

__all__ = ["STREAM_PROOFS", "queue_rules"]


def queue_rules(*, capacity: int, latency_cycles: int):
    """Rules of a unit that passes items on in order and holds up to `capacity` of them."""

    def rules(m: Module, unit) -> None:
        follower = Follower(m, "item", item_bits=len(Value.cast(unit.i.payload)))
        follower.enter(unit.i.valid & unit.i.ready, Value.cast(unit.i.payload))
        follower.leave(unit.o.valid & unit.o.ready, Value.cast(unit.o.payload))
        held = follower.inside
        m.d.comb += Assert(held <= capacity, "more items inside than there is room for")
        m.d.comb += Cover(held == capacity, "full")
        assert_bounded_wait(
            m,
            (held != 0) & ~unit.o.valid,
            cycles=latency_cycles,
            message="an item stays inside although the output is free",
        )
        assert_bounded_wait(
            m, (held < capacity) & ~unit.i.ready, cycles=latency_cycles, message="room inside, but not ready"
        )
        if hasattr(unit, "level"):
            m.d.comb += Assert(unit.level == held, "level is not the number of items inside")

    return rules


def fork_rules(m: Module, unit: Fork) -> None:
    """Each branch gets every item once, and none is dismissed before all have it."""
    for index, branch in enumerate(unit.o):
        follower = Follower(m, f"branch{index}", item_bits=len(unit.i.payload))
        follower.enter(unit.i.valid & unit.i.ready, unit.i.payload)
        follower.leave_at_once(
            branch.valid & branch.ready, branch.payload, offered=unit.i.valid, offer=unit.i.payload
        )
        # A branch sees the item until it has it, whatever the others do.
        waits = unit.i.valid & (follower.left == follower.entered)
        m.d.comb += Assert(branch.valid == waits, f"branch {index} is offered something else")


def join_rules(m: Module, unit: Join) -> None:
    """Items leave in step, each beside its partner."""
    moves = unit.o.valid & unit.o.ready
    inputs = {name: getattr(unit.i, name) for name in unit.names}
    for name, port in inputs.items():
        item = Value.cast(port.payload)
        follower = Follower(m, name, item_bits=len(item))
        follower.enter(port.valid & port.ready, item)
        follower.leave_at_once(moves, Value.cast(unit.o.payload[name]), offered=port.valid, offer=item)
        m.d.comb += Assert(follower.left == follower.entered, f"{name} was dismissed without leaving")
    together = Cat(port.valid for port in inputs.values()).all()
    m.d.comb += Assert(unit.o.valid == together, "an output without all its parts, or withheld")


def arbiter_rules(m: Module, unit: Arbiter) -> None:
    """Seen from one arbitrary input: nothing lost or reordered; packets in one piece; its turn comes."""
    chosen = Signal(range(unit.n))
    m.d.comb += [chosen.eq(AnyConst(len(chosen))), Assume(chosen < unit.n)]
    valids = Array(port.valid for port in unit.i)
    mine_valid, mine_moves = Signal(), Signal()
    mine = Signal(len(Value.cast(unit.i[0].payload)))
    m.d.comb += [
        mine_valid.eq(valids[chosen]),
        mine_moves.eq(mine_valid & Array(port.ready for port in unit.i)[chosen]),
        mine.eq(Array(Value.cast(port.payload) for port in unit.i)[chosen]),
    ]
    moves = unit.o.valid & unit.o.ready
    source, last = unit.o.payload.source, unit.o.payload.item.last
    follower = Follower(m, "item", item_bits=len(mine))
    follower.enter(mine_moves, mine)
    follower.leave_at_once(
        moves & (source == chosen), Value.cast(unit.o.payload.item), offered=mine_valid, offer=mine
    )
    m.d.comb += Assert(follower.left == follower.entered, "an item was dismissed without leaving")

    unfinished, owner, passed = Signal(), Signal.like(source), Signal(range(unit.n + 1))
    with m.If(moves):
        m.d.sync += [unfinished.eq(~last), owner.eq(source)]
    with m.If(unfinished & unit.o.valid):
        m.d.comb += Assert(source == owner, "a packet was interrupted")
    anyone = Cat(port.valid for port in unit.i).any()
    m.d.comb += Assert(unit.o.valid == Mux(unfinished, valids[owner], anyone), "the output idles or invents")

    with m.If(mine_moves | ~mine_valid):
        m.d.sync += passed.eq(0)
    with m.Elif(moves & last):
        m.d.sync += passed.eq(passed + 1)
    m.d.comb += Assert(passed < unit.n, "an input waits for more than one packet of each other")
    m.d.comb += Cover(passed == unit.n - 1, "an input waits for one packet of each other")


def width_rules(m: Module, unit: WidthConverter) -> None:
    """Lane by lane, with the packet's end as part of its last lane; only that beat may be partial."""
    enters, leaves = unit.i.valid & unit.i.ready, unit.o.valid & unit.o.ready
    follower = Follower(m, "lane", item_bits=unit.i_shape.lane_bits + 1)
    follower.enter(enters, *_lanes(unit.i.payload, unit.i_shape), count=_count(unit.i.payload))
    follower.leave(leaves, *_lanes(unit.o.payload, unit.o_shape), count=_count(unit.o.payload))
    m.d.comb += Assume(~unit.i.valid | _well_formed(unit.i.payload))
    m.d.comb += Assert(~unit.o.valid | _well_formed(unit.o.payload), "the output's keep is malformed")

    # What must come out by itself: a whole beat, or the end of a packet.
    ends_inside = Signal(6)
    m.d.sync += ends_inside.eq(ends_inside + (enters & unit.i.payload.last) - (leaves & unit.o.payload.last))
    due = (follower.inside >= unit.o_shape.lanes) | (ends_inside != 0)
    m.d.comb += Assert(unit.o.valid == due, "a beat that is due is not offered, or one that is not due is")
    assert_bounded_wait(
        m, ~unit.o.valid & ~unit.i.ready, cycles=1, message="neither offers an item nor accepts one"
    )
    m.d.comb += Cover(leaves & unit.o.payload.last & ~unit.o.payload.keep.all() & enters, "flush and go on")


def _lanes(beat, shape) -> list[Value]:
    """Each lane, and whether it ends its packet."""
    count = _count(beat)
    return [
        Cat(beat.data.word_select(lane, shape.lane_bits), beat.last & (count == lane + 1))
        for lane in range(shape.lanes)
    ]


def _count(beat) -> Value:
    return sum(beat.keep[1:], start=beat.keep[0])


def _well_formed(beat) -> Value:
    """Lanes from the lowest up, at least one, and all of them before a packet's end."""
    contiguous = (beat.keep & (beat.keep + 1)) == 0
    return contiguous & beat.keep[0] & (beat.last | beat.keep.all())


def _queue(name: str, make: Callable[[], wiring.Component], *, capacity: int, depth: int) -> Proof:
    def contract() -> Contract:
        unit = make()
        return Contract(unit, queue_rules(capacity=capacity, latency_cycles=unit.LATENCY_CYCLES))

    return Proof(unit=f"stream {name}", contract=contract, depth=depth)


def _width(i_lanes: int, o_lanes: int, *, depth: int) -> Proof:
    return Proof(
        unit=f"stream WidthConverter {i_lanes} to {o_lanes}",
        contract=lambda: Contract(WidthConverter(lane_bits=1, i_lanes=i_lanes, o_lanes=o_lanes), width_rules),
        depth=depth,
    )


STREAM_PROOFS = (
    _queue("SkidBuffer", lambda: SkidBuffer(shape=2), capacity=2, depth=24),
    _queue("Fifo of 4", lambda: Fifo(shape=2, depth=4), capacity=4, depth=20),
    _queue("Fifo of 5", lambda: Fifo(shape=2, depth=5), capacity=5, depth=18),
    Proof(unit="stream Fork", contract=lambda: Contract(Fork(shape=2, n=3), fork_rules), depth=20),
    Proof(
        unit="stream Join",
        contract=lambda: Contract(Join(shapes={"a": 2, "b": 1}), join_rules),
        depth=20,
    ),
    Proof(
        unit="stream Arbiter",
        contract=lambda: Contract(Arbiter(shape=Packet(2), n=3), arbiter_rules),
        depth=20,
    ),
    _width(1, 3, depth=16),
    _width(2, 3, depth=13),
    _width(3, 2, depth=13),
    _width(4, 6, depth=10),
)
