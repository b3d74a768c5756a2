"""From accumulators to bytes: bias, shift by a power of two with rounding half to even, clip."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SHIFT_MAX", "Requantise"]

SHIFT_BITS = 5
SHIFT_MAX = 24


class Requantise(wiring.Component):
    """`y = clip(round_half_even((x + bias) / 2**shift), low, high)`; with `raw`, the low byte of the floor.

    Latency `LATENCY_CYCLES`, initiation interval 1 cycle, no back-pressure. `x + bias` must fit `bits`;
    shifts are 0 to 24. `low`, `high` and `raw` are taken two cycles later than `x`: they may change with it
    only if the caller delays them.
    """

    LATENCY_CYCLES = 3

    def __init__(self, *, bits: int):
        self._bits = bits
        super().__init__(
            {
                "x": In(signed(bits)),
                "bias": In(signed(bits)),
                "shift": In(SHIFT_BITS),
                "low": In(8),
                "high": In(8),
                "raw": In(1),
                "y": Out(8),
            }
        )

    @staticmethod
    def compute(x: int, bias: int, shift: int, low: int, high: int, *, raw: bool = False) -> int:
        """The golden twin."""
        total = x + bias
        if raw:
            return (total >> shift) & 0xFF
        floor, rest, one = total >> shift, total & (1 << shift) - 1, 1 << shift
        floor += 2 * rest > one or (2 * rest == one and floor % 2 == 1)
        return max(low, min(high, floor))

    def elaborate(self, platform) -> Module:
        m = Module()
        total = Signal(signed(self._bits), reset_less=True)
        shift = Signal(SHIFT_BITS, reset_less=True)
        m.d.sync += [total.eq(self.x + self.bias), shift.eq(self.shift)]

        # One bit more below: the half that rounding looks at.
        shifted = (total << 1) >> shift
        below = Signal()
        m.d.comb += below.eq((total[: SHIFT_MAX - 1] & self._mask(m, shift)).any())
        floor = Signal(signed(self._bits), reset_less=True)
        up = Signal(reset_less=True)
        m.d.sync += [
            floor.eq(shifted >> 1),
            up.eq(shifted[0] & (below | shifted[1])),
        ]
        rounded = floor + up
        with m.If(self.raw):
            m.d.sync += self.y.eq(floor[:8])
        with m.Elif(rounded < self.low):
            m.d.sync += self.y.eq(self.low)
        with m.Elif(rounded > self.high):
            m.d.sync += self.y.eq(self.high)
        with m.Else():
            m.d.sync += self.y.eq(rounded[:8])
        return m

    def _mask(self, m: Module, shift: Signal) -> Signal:
        mask = Signal(SHIFT_MAX - 1)
        for bit in range(SHIFT_MAX - 1):
            m.d.comb += mask[bit].eq(shift > bit + 1)
        return mask
