"""What the CAN guard promises for every input: silence without the key, short flags, a kept budget."""

from __future__ import annotations

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, ResetSignal, Signal

from hw.can.guard import FLAG_BITS, KEY, Guard

from .runner import Proof

__all__ = ["GUARD_PROOFS", "GuardContract"]

#: Scaled down, so that the budget runs out and fills up again within the depth of the proof.
BURST = 2
INTERVAL_CYCLES = 5


class GuardContract(Elaboratable):
    """A guard whose every input, the key included, is whatever harms most."""

    def __init__(self, unit: Guard | None = None):
        self._unit = unit or Guard(burst=BURST, interval_cycles=INTERVAL_CYCLES)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = unit = self._unit
        m.d.comb += [
            Assume(~ResetSignal()),
            unit.key.eq(AnySeq(32)),
            unit.kill.eq(AnySeq(1)),
            unit.in_flight.eq(AnySeq(1)),
            unit.bit_start.eq(AnySeq(1)),
        ]
        self._silent_without_key(m, unit)
        self._flags_are_short(m, unit)
        self._flags_are_deliberate(m, unit)
        self._budget_is_kept(m, unit)
        return m

    def _silent_without_key(self, m: Module, unit: Guard) -> None:
        had_key = Signal()
        m.d.sync += had_key.eq(unit.key == KEY)
        with m.If(~had_key):
            m.d.comb += Assert(unit.tx, "dominant without the key in the cycle before")

    def _flags_are_short(self, m: Module, unit: Guard) -> None:
        # The boundary at which `tx` may move, as late as `tx` itself.
        boundary = Signal(Guard.TX_CYCLES)
        bits = Signal(range(FLAG_BITS + 2))
        m.d.sync += boundary.eq(boundary << 1 | unit.bit_start)
        begun = bits + boundary[-1]
        with m.If(unit.tx):
            m.d.sync += bits.eq(0)
        with m.Else():
            m.d.sync += bits.eq(begun)
            m.d.comb += Assert(begun <= FLAG_BITS, "more dominant bits in a row than an error flag has")
        m.d.comb += Cover(~unit.tx & (begun == FLAG_BITS), "a whole error flag")

    def _flags_are_deliberate(self, m: Module, unit: Guard) -> None:
        was_in_flight, was_locked_out, was_killed = Signal(), Signal(), Signal()
        was_recessive = Signal(init=1)
        m.d.sync += [
            was_in_flight.eq(unit.in_flight),
            was_locked_out.eq(unit.locked_out),
            was_killed.eq(unit.killed),
            was_recessive.eq(unit.tx),
        ]
        with m.If(unit.killed):
            m.d.comb += [
                Assert(was_in_flight, "a flag without a frame in flight"),
                Assert(~was_locked_out, "a flag while locked out"),
            ]
        with m.If(was_recessive & ~unit.tx):
            m.d.comb += Assert(was_killed, "dominant without a flag having begun")

    def _budget_is_kept(self, m: Module, unit: Guard) -> None:
        """From any cycle on, chosen by the solver, flags are counted against the time that has passed."""
        counting, kills = Signal(), Signal(8)
        cycle, allowed = Signal(range(INTERVAL_CYCLES)), Signal(8, init=BURST + 1)
        with m.If(AnySeq(1)):
            m.d.sync += counting.eq(1)
        with m.If(counting):
            m.d.sync += [kills.eq(kills + unit.killed), cycle.eq(cycle + 1)]
            with m.If(cycle == INTERVAL_CYCLES - 1):
                m.d.sync += [cycle.eq(0), allowed.eq(allowed + 1)]
            m.d.comb += Assert(kills + unit.killed <= allowed, "more flags than burst + cycles / interval")
        m.d.comb += [Cover(kills == BURST, "the whole burst spent"), Cover(unit.locked_out, "locked out")]


GUARD_PROOFS = (Proof(unit="can.Guard", contract=GuardContract, depth=45),)
