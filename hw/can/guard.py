"""Guard mode: destroy the frame in flight with an active error flag. The one unit that drives the bus."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["FLAG_BITS", "KEY", "Guard"]

#: An active error flag: six dominant bits, one more than bit stuffing allows.
FLAG_BITS = 6
#: What the host has to write before anything is transmitted: "KILL" in ASCII.
KEY = 0x4B494C4C


class Guard(wiring.Component):
    """Turns `kill` into six dominant bits on `tx`, from the next bit boundary on, if everything allows it.

    What it never does, by construction and by proof: drive `tx` in a cycle not preceded by one in which `key`
    was exactly `KEY`; drive more than six bit times at a stretch; begin a flag while `in_flight` is low;
    begin more than `burst + cycles / interval_cycles` flags in any stretch of cycles. The budget is part of
    the hardware: no register widens it, and it is empty after reset, so a reset does not fill it up.

    A kill beyond the budget is `refused` and locks the guard: `locked_out` stays until the host has taken the
    key away and written it again. One for which the frame is over before the next bit boundary is `too_late`.

    Latency: `tx` falls `TX_CYCLES` after the `bit_start` that follows `kill`. It takes a kill a frame.
    """

    TX_CYCLES = 2

    key: In(32)
    #: One cycle: the frame in flight shall not reach any node.
    kill: In(1)
    #: From `Receiver`.
    in_flight: In(1)
    bit_start: In(1)

    #: To the transceiver: 1 is recessive. Straight out of a register.
    tx: Out(1, init=1)
    #: One cycle each: a flag has begun, a kill was beyond the budget, a kill found no frame any more.
    killed: Out(1)
    refused: Out(1)
    too_late: Out(1)
    unlocked: Out(1)
    locked_out: Out(1)

    def __init__(self, *, burst: int, interval_cycles: int, key: int = KEY):
        for name, value in {"burst": burst, "interval_cycles": interval_cycles}.items():
            if value < 1:
                raise ValueError(f"{name} of the guard must be at least 1, not {value!r}")
        if not 0 < key < 1 << 32:
            raise ValueError(f"key of the guard must be a 32-bit word other than zero, not {key!r}")
        self._burst = burst
        self._interval_cycles = interval_cycles
        self._key = key
        super().__init__()

    def elaborate(self, platform) -> Module:
        m = Module()
        # `unlocked` is a cycle old, since much hangs on it; `tx` itself looks at the key as it is.
        right = Signal()
        m.d.comb += right.eq(self.key == self._key)
        m.d.sync += self.unlocked.eq(right)

        budget = Signal(range(self._burst + 1))
        until_refill = Signal(range(self._interval_cycles), init=self._interval_cycles - 1)
        refill = until_refill == 0
        m.d.sync += until_refill.eq(until_refill - 1)
        with m.If(refill):
            m.d.sync += until_refill.eq(self._interval_cycles - 1)

        pending = Signal()
        flag_left = Signal(range(FLAG_BITS + 1))
        begin = pending & self.in_flight & self.bit_start & self.unlocked & (flag_left == 0)
        with m.If(begin):
            m.d.sync += budget.eq(budget - ~refill)
        with m.Elif(refill & (budget != self._burst)):
            m.d.sync += budget.eq(budget + 1)

        m.d.sync += [self.killed.eq(begin), self.refused.eq(0), self.too_late.eq(0)]
        with m.If(begin):
            m.d.sync += pending.eq(0)
        with m.Elif(~self.in_flight):
            m.d.sync += [pending.eq(0), self.too_late.eq(pending | (self.kill & self.unlocked))]
        with m.Elif(self.kill & self.unlocked & ~self.locked_out & ~pending):
            with m.If(budget == 0):
                m.d.sync += [self.refused.eq(1), self.locked_out.eq(1)]
            with m.Else():
                m.d.sync += pending.eq(1)

        with m.If(begin):
            m.d.sync += flag_left.eq(FLAG_BITS)
        with m.Elif(self.bit_start & (flag_left != 0)):
            m.d.sync += flag_left.eq(flag_left - 1)
        m.d.sync += self.tx.eq(~(right & self.unlocked & (flag_left != 0)))

        with m.If(~self.unlocked):
            m.d.sync += [pending.eq(0), flag_left.eq(0), self.locked_out.eq(0)]
        return m
