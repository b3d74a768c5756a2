"""Sums of activations times digits 0, ±1, ±2 and ±4: one look-up table a bit and its share of an adder tree.

A weight is a sum of digits times powers of four, one digit a pass (`models.program.digits`). A digit is
three bits: which of 0, 1, 2 and 4 times the activation, and a sign. Negative products are complemented only
and taken as unsigned, so that neither the missing ones nor the sign bits burden the adders: the sums are too
high by a constant of the weights, `excess`, that goes into the bias.
"""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.ternary_add import TernaryAdd, two_luts
from models.program.digits import DIGIT_BITS

__all__ = ["ShiftArray", "ShiftSum", "codes", "excess"]

SIGN = 4
ACTIVATION_BITS = 8
PRODUCT_BITS = ACTIVATION_BITS + 2


def codes(digits: np.ndarray) -> np.ndarray:
    """The three bits of each digit."""
    size = np.abs(digits)
    return (np.where(size == 4, 3, size) | np.where(digits < 0, SIGN, 0)).astype(np.uint8)


def excess(digits: np.ndarray, axis: tuple[int, ...] | int | None = None) -> np.ndarray:
    """By how much the array's sums are too high: a negative product comes as `2**PRODUCT_BITS - 1` more."""
    return np.asarray((digits < 0).sum(axis=axis) * ((1 << PRODUCT_BITS) - 1))


class ShiftArray(wiring.Component):
    """`sums[p][o] = sum over i of digit(w[o][i]) * x[p][o][i]`, plus `excess` of the digits of `w[o]`.

    Latency `latency_cycles`, initiation interval 1 cycle, no back-pressure. Activations are unsigned bytes.
    With `technology`, products and adders are instantiated for that family, see `TernaryAdd`.
    """

    def __init__(self, *, pixels: int, channels: int, technology: str | None = None):
        self.pixels, self.channels, self._technology = pixels, channels, technology
        self.sum_bits = (channels * ((1 << PRODUCT_BITS) - 1)).bit_length()
        super().__init__(
            {
                "x": In(
                    data.ArrayLayout(
                        data.ArrayLayout(data.ArrayLayout(ACTIVATION_BITS, channels), channels), pixels
                    )
                ),
                "w": In(data.ArrayLayout(data.ArrayLayout(DIGIT_BITS, channels), channels)),
                "sums": Out(data.ArrayLayout(data.ArrayLayout(self.sum_bits, channels), pixels)),
            }
        )

    @staticmethod
    def latency(channels: int) -> int:
        """A register behind the products and one behind each level of adders."""
        cycles, numbers = 1, channels
        while numbers > 1:
            numbers = -(-numbers // 3)
            cycles += 1
        return cycles

    @property
    def latency_cycles(self) -> int:
        return self.latency(self.channels)

    @staticmethod
    def compute(x: np.ndarray, digits: np.ndarray) -> np.ndarray:
        """The golden twin: x (pixels, outputs, inputs), digits (outputs, inputs), sums (pixels, outputs)."""
        return (x.astype(np.int64) * digits).sum(axis=2) + excess(digits, axis=1)

    def elaborate(self, platform) -> Module:
        m = Module()
        for p in range(self.pixels):
            for o in range(self.channels):
                m.submodules[f"sum_{p}_{o}"] = unit = ShiftSum(self.channels, self._technology)
                m.d.comb += [unit.x.eq(self.x[p][o]), unit.w.eq(self.w[o]), self.sums[p][o].eq(unit.total)]
        return m


class ShiftSum(wiring.Component):
    """One output of one pixel lane of the array."""

    def __init__(self, channels: int, technology: str | None = None):
        self._channels, self._technology = channels, technology
        bits = (channels * ((1 << PRODUCT_BITS) - 1)).bit_length()
        super().__init__(
            {
                "x": In(data.ArrayLayout(ACTIVATION_BITS, channels)),
                "w": In(data.ArrayLayout(DIGIT_BITS, channels)),
                "total": Out(bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        numbers = [self._product(m, i) for i in range(self._channels)]
        most = [(1 << PRODUCT_BITS) - 1] * self._channels
        level = 0
        while len(numbers) > 1:
            level += 1
            groups = _groups(len(numbers))
            numbers = [self._added(m, f"{level}_{g.start}", numbers[g], sum(most[g])) for g in groups]
            most = [sum(most[g]) for g in groups]
        m.d.comb += self.total.eq(numbers[0])
        return m

    def _added(self, m: Module, name: str, numbers: list[Value], most: int) -> Value:
        total = Signal(most.bit_length(), name=f"total_{name}", reset_less=True)
        if len(numbers) == 3:
            a, b, c = numbers
            m.submodules[f"add_{name}"] = adder = TernaryAdd(
                bits=(len(a), len(b), len(c)), technology=self._technology
            )
            m.d.comb += [adder.a.eq(a), adder.b.eq(b), adder.c.eq(c)]
            m.d.sync += total.eq(adder.total)
        else:
            m.d.sync += total.eq(sum(numbers[1:], numbers[0]))
        return total

    def _product(self, m: Module, i: int) -> Value:
        x, code = self.x[i], self.w[i]
        product = Signal(PRODUCT_BITS, name=f"product_{i}", reset_less=True)
        if self._technology is None:
            choices = Mux(code[1], Mux(code[0], x << 2, x << 1), Mux(code[0], x, 0))
            m.d.sync += product.eq(choices[:PRODUCT_BITS] ^ code[2].replicate(PRODUCT_BITS))
            return product
        chosen = [Mux(code[1], Mux(code[0], x[b - 2], x[b - 1]), code[0] & x[b]) for b in range(2, 8)]
        # The outermost bits see so little of the activation that two of them share a table.
        low = _two_bits(m, f"low_{i}", x[:2], code, ((None, 0, None, None), (None, 1, 0, None)))
        high = _two_bits(m, f"high_{i}", x[6:], code, ((None, None, 1, 0), (None, None, None, 1)))
        m.d.sync += product.eq(Cat(low, *(bit ^ code[2] for bit in chosen), high))
        return product


def _groups(count: int) -> list[slice]:
    return [slice(start, min(start + 3, count)) for start in range(0, count, 3)]


def _two_bits(m: Module, name: str, x: Value, code: Value, choices) -> Value:
    """Two bits of a product: `choices` has for each, by code, which of the two bits of `x` it is, if any."""
    low, high = (
        [_bit(choice[n >> 2 & 3], n) ^ n >> 4 for n in range(1 << 2 + DIGIT_BITS)] for choice in choices
    )
    return Cat(two_luts(m, name, low, high, [x[0], x[1], *code]))


def _bit(place: int | None, value: int) -> int:
    return 0 if place is None else value >> place & 1
