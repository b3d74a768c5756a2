"""The parts of a stream's contract: what the world may do, what a unit must do, and one item to follow.

Data independence keeps the proofs short: no stream unit looks at its payload, so a few bits of it, together
with one item whose number the solver chooses freely, stand for all items of any width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from sim.stream_ports import StreamPort, stream_ports

__all__ = ["Contract", "Follower", "assert_bounded_wait", "offer_anything", "take_anything"]

#: Bits of an item's number: enough for the depths in use.
NUMBER_BITS = 6


class Contract(Elaboratable):
    """A unit whose every stream meets every gap and every stall that the handshake allows, from reset on.

    That `valid` and payload stay while stalled is asserted here, for each output; `rules(m, unit)` adds what
    the unit is for. Inputs that are no streams are for `rules` to drive (`AnySeq`); otherwise they stay at
    their initial value.
    """

    def __init__(self, unit: wiring.Component, rules: Callable[[Module, wiring.Component], None]):
        self.unit = unit
        self._rules = rules

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = self.unit
        m.d.comb += Assume(~ResetSignal())
        for port in stream_ports(self.unit):
            if port.flow is In:
                offer_anything(m, port)
            else:
                take_anything(m, port)
        self._rules(m, self.unit)
        return m


def offer_anything(m: Module, port: StreamPort) -> None:
    """Drive an input with any items and gaps that keep the handshake rules."""
    payload = Value.cast(port.stream.payload)
    offered, held = Signal(), Signal(len(payload))
    m.d.comb += [port.stream.valid.eq(AnySeq(1)), payload.eq(AnySeq(len(payload)))]
    m.d.sync += [offered.eq(port.stream.valid & ~port.stream.ready), held.eq(payload)]
    with m.If(offered):
        m.d.comb += [Assume(port.stream.valid), Assume(payload == held)]


def take_anything(m: Module, port: StreamPort) -> None:
    """Stall an output in any way, and assert that what it offers stays until it is accepted."""
    payload = Value.cast(port.stream.payload)
    stalled, held = Signal(), Signal(len(payload))
    m.d.comb += port.stream.ready.eq(AnySeq(1))
    m.d.sync += [stalled.eq(port.stream.valid & ~port.stream.ready), held.eq(payload)]
    with m.If(stalled):
        m.d.comb += [
            Assert(port.stream.valid, f"{port.name} withdrew valid while stalled"),
            Assert(payload == held, f"{port.name} changed its payload while stalled"),
        ]


def assert_bounded_wait(m: Module, waits: Value, *, cycles: int, message: str) -> None:
    """Assert that `waits` never holds for more than `cycles` cycles on end."""
    waited = Signal(range(cycles + 1))
    with m.If(waits):
        m.d.comb += Assert(waited < cycles, message)
        m.d.sync += waited.eq(waited + 1)
    with m.Else():
        m.d.sync += waited.eq(0)


class Follower:
    """Follow one item, of a number that the solver chooses, from where it enters to where it leaves.

    Both ends count their items. What leaves under the chosen number must be what entered under it, and
    nothing may leave that has not entered; as the number is arbitrary, nothing is lost, doubled, altered or
    reordered.
    """

    def __init__(self, m: Module, name: str, *, item_bits: int):
        self._m = m
        self._name = name
        self._chosen = Signal(NUMBER_BITS, name=f"{name}_chosen")
        self._item = Signal(item_bits, name=f"{name}_item")
        self.entered = Signal(NUMBER_BITS, name=f"{name}_entered")  #: items accepted so far
        self.left = Signal(NUMBER_BITS, name=f"{name}_left")  #: items delivered so far
        m.d.comb += self._chosen.eq(AnyConst(NUMBER_BITS))

    @property
    def inside(self) -> Value:
        """How many items the unit holds."""
        return (self.entered - self.left)[:NUMBER_BITS]

    def enter(self, moves: Value, *items: Value, count: Value | int = 1) -> None:
        """The first `count` of `items` enter when `moves`."""
        with self._m.If(moves):
            self._m.d.sync += self.entered.eq(self.entered + count)
            for index, item in enumerate(items):
                with self._m.If((self.entered + index == self._chosen) & (index < count)):
                    self._m.d.sync += self._item.eq(item)

    def leave(self, moves: Value, *items: Value, count: Value | int = 1) -> None:
        """The first `count` of `items` leave when `moves`, at least a cycle after they entered."""
        self._leave(moves, items, count, self._item, self.inside >= count)

    def leave_at_once(self, moves: Value, item: Value, *, offered: Value, offer: Value) -> None:
        """`item` leaves when `moves`, at the latest in the cycle in which it enters.

        Until then it stands before the unit as `offer`, while `offered`.
        """
        self._leave(moves, (item,), 1, offer, offered & (self.left == self.entered))
        self._m.d.comb += Assert(
            (self.left == self.entered) | (self.left == self.entered + 1), f"{self._name}: an item was lost"
        )

    def _leave(self, moves, items: Sequence[Value], count, wanted: Value, may: Value) -> None:
        m, name = self._m, self._name
        with m.If(moves):
            m.d.sync += self.left.eq(self.left + count)
            m.d.comb += Assert(may, f"{name}: an item left that had not entered")
            for index, item in enumerate(items):
                with m.If((self.left + index == self._chosen) & (index < count)):
                    m.d.comb += Assert(item == wanted, f"{name}: lost, doubled, altered or reordered")
        m.d.comb += Cover(self.left == 4, f"{name}: four items have left")
