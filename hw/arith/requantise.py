"""From accumulators to bytes: bias, shift by a power of two with rounding half to even, clip."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SHIFT_MAX", "Requantise"]

SHIFT_BITS = 5
SHIFT_MAX = 24
#: What the shift by bytes keeps, a bit below beside it: of fewer, the sign would not reach the byte of `raw`.
BITS_MIN = 16


class Requantise(wiring.Component):
    """`y = clip(round_half_even((x + bias) / 2**shift), low, high)`; with `raw`, the low byte of the floor.

    Latency `LATENCY_CYCLES`, initiation interval 1 cycle, no back-pressure. `x + bias` must fit `bits`;
    shifts are 0 to 24. `low`, `high` and `raw` are taken `LIMITS_CYCLES` later than `x`: they may change with
    it only if the caller delays them.

    `low` is at least 0, so of a negative number nothing counts but its sign, and of a positive one the byte
    that the shift leaves and whether there is more above or below: so the shift, by bytes and then by bits,
    is of ever fewer bits.
    """

    LATENCY_CYCLES = 5
    LIMITS_CYCLES = 4

    def __init__(self, *, bits: int):
        if not BITS_MIN <= bits <= SHIFT_MAX + 8:
            raise ValueError(
                f"bits must be {BITS_MIN} to {SHIFT_MAX + 8}, what the shift by bytes covers, not {bits!r}"
            )
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
        by_bytes = _Shift(
            m, "bytes", Cat(Const(0, 1), total).as_signed(), shift[3:], step=8, keep=BITS_MIN + 1
        )
        left = Signal(3, reset_less=True)
        m.d.sync += left.eq(shift[:3])
        by_bits = _Shift(m, "bits", by_bytes.kept, left, step=1, keep=9)
        above, below = _later(m, by_bytes.above, 1), _later(m, by_bytes.below, 1)

        half, byte = by_bits.kept[0], by_bits.kept[1:]
        rounded, floor = Signal(9, reset_less=True), Signal(8, reset_less=True)
        more = Signal(reset_less=True)
        m.d.sync += [
            rounded.eq(byte + (half & (by_bits.below | below | byte[0]))),
            floor.eq(byte),
            more.eq(above | by_bits.above),
        ]
        minus = _later(m, total[-1], 3)
        too_low = minus | (~more & (rounded < self.low))
        too_high = more | (rounded > self.high)
        clipped = Mux(too_low, self.low, Mux(too_high, self.high, rounded[:8]))
        m.d.sync += self.y.eq(Mux(self.raw, floor, clipped))
        return m


class _Shift:
    """`kept` bits of `value >> step * count`, and whether any is set `above` and `below`; in one cycle."""

    def __init__(self, m: Module, name: str, value: Value, count: Value, *, step: int, keep: int):
        self.kept = Signal(keep, name=f"{name}_kept", reset_less=True)
        self.above, self.below = (
            Signal(name=f"{name}_{side}", reset_less=True) for side in ("above", "below")
        )
        above, below = [], []
        for place in range(1 << len(count)):
            reached = Signal(name=f"{name}_reached_{place}")
            m.d.comb += reached.eq(count >= place)
            below.append(value[max(place - 1, 0) * step : place * step].any() & reached)
            above.append(value[keep + place * step : keep + (place + 1) * step].any() & ~(count > place))
        m.d.sync += [
            self.kept.eq(Array((value >> place * step)[:keep] for place in range(1 << len(count)))[count]),
            self.above.eq(Cat(above).any()),
            self.below.eq(Cat(below).any()),
        ]


def _later(m: Module, value: Value, cycles: int) -> Value:
    for _ in range(cycles):
        later = Signal(reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value
