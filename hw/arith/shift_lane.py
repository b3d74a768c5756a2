"""Sums of activations times signed powers of two: a multiplexer and an adder for each, no multiplier.

A weight is four bits: an exponent of 0 to 6, or 7 for zero, and a sign. The shift is made in two steps: by 0
to 3 in one look-up table a bit, then by 0 or 4 inside the table of the adder that it feeds, which has inputs
left. That asks for a chain of adders and not for a tree. Negative terms are complemented only; the missing
ones are a constant of the weights, which `missing_ones` counts for the bias.
"""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CODE_BITS", "EXPONENT_MAX", "ZERO", "ShiftArray", "codes", "missing_ones", "split_terms"]

CODE_BITS = 4
EXPONENT_MAX = 6
ZERO = 7  #: the exponent of weight zero
SIGN = 8
#: Adders between two registers of the chain. More than one, and yosys merges them into carry-save adders,
#: which leave the carry chains unused and take half as many look-up tables again.
CHAINED = 1
ACTIVATION_BITS = 8


def split_terms(weights: np.ndarray) -> np.ndarray:
    """Weights as sums of 0 and ±2^0 to ±2^6: an axis of terms is put in front, as short as it can be."""
    rest = np.asarray(weights, np.int64).copy()
    terms = []
    while rest.any():
        size = np.abs(rest)
        exponent = np.minimum(np.floor(np.log2(np.maximum(size, 1) * 4 / 3)).astype(np.int64), EXPONENT_MAX)
        term = np.where(rest == 0, 0, np.sign(rest) << exponent)
        terms.append(term)
        rest = rest - term
    return np.stack(terms) if terms else np.zeros((1, *rest.shape), np.int64)


def codes(terms: np.ndarray) -> np.ndarray:
    """The four bits of each term."""
    size = np.abs(terms)
    exponent = np.where(size == 0, ZERO, np.log2(np.maximum(size, 1)).astype(np.int64))
    return (exponent | np.where(terms < 0, SIGN, 0)).astype(np.uint8)


def missing_ones(terms: np.ndarray, axis: tuple[int, ...] | int | None = None) -> np.ndarray:
    """What the array's sums lack, because a negative term is complemented and not negated."""
    return np.asarray((terms < 0).sum(axis=axis))


def _delayed(m: Module, value: Value, cycles: int, name: str) -> Value:
    for index in range(cycles):
        later = Signal(len(value), name=f"{name}_{index}", reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value


class ShiftArray(wiring.Component):
    """`sums[p][o] = sum over i of term(w[o][i], x[p][i])`, where a negative term is `-value - 1`.

    Latency `latency_cycles`, initiation interval 1 cycle, no back-pressure. Activations are unsigned bytes.
    """

    def __init__(self, *, pixels: int, channels: int):
        self.pixels, self.channels = pixels, channels
        self.groups = self.stages(channels)
        self.sum_bits = ACTIVATION_BITS + EXPONENT_MAX + (channels - 1).bit_length() + 1
        super().__init__(
            {
                "x": In(data.ArrayLayout(data.ArrayLayout(ACTIVATION_BITS, channels), pixels)),
                "w": In(data.ArrayLayout(data.ArrayLayout(CODE_BITS, channels), channels)),
                "sums": Out(data.ArrayLayout(data.ArrayLayout(signed(self.sum_bits), channels), pixels)),
            }
        )

    @staticmethod
    def stages(channels: int) -> int:
        """Registers along the chain."""
        return -(-channels // CHAINED)

    @property
    def latency_cycles(self) -> int:
        return 1 + self.groups

    @staticmethod
    def compute(x: np.ndarray, terms: np.ndarray) -> np.ndarray:
        """The golden twin: x (pixels, inputs) and terms (outputs, inputs) to sums (pixels, outputs)."""
        return x.astype(np.int64) @ terms.T - missing_ones(terms, axis=1)

    def elaborate(self, platform) -> Module:
        m = Module()
        delay = [index // CHAINED for index in range(self.channels)]
        x = [
            [_delayed(m, self.x[p][i], delay[i], f"x_{p}_{i}") for i in range(self.channels)]
            for p in range(self.pixels)
        ]
        for o in range(self.channels):
            controls = [self._control(m, o, i, delay[i]) for i in range(self.channels)]
            for p in range(self.pixels):
                m.d.comb += self.sums[p][o].eq(self._chain(m, p, o, x[p], controls))
        return m

    def _control(self, m: Module, o: int, i: int, cycles: int) -> tuple[Value, Value, Value, Value]:
        """Small shift and zero for the multiplexer, large shift and sign a cycle later for the adder."""
        code = _delayed(m, self.w[o][i], cycles, f"w_{o}_{i}")
        zero, large, sign = (
            Signal(name=f"zero_{o}_{i}"),
            Signal(name=f"large_{o}_{i}"),
            Signal(name=f"sign_{o}_{i}"),
        )
        m.d.comb += zero.eq(code[:3].all())
        m.d.sync += [large.eq(code[2]), sign.eq(code[3] & ~zero)]
        return code[:2], zero, large, sign

    def _chain(self, m: Module, p: int, o: int, x: list[Value], controls: list) -> Value:
        total: Value | None = None
        for i, (small, zero, large, sign) in enumerate(controls):
            shifted = Signal(ACTIVATION_BITS + 3, name=f"y_{p}_{o}_{i}", reset_less=True)
            with m.If(zero):
                m.d.sync += shifted.eq(0)
            with m.Else():
                m.d.sync += shifted.eq(x[i] << small)
            term = Mux(large, shifted << 4, shifted) ^ sign.replicate(ACTIVATION_BITS + 7)
            term = Cat(term[: ACTIVATION_BITS + EXPONENT_MAX], sign).as_signed()
            bits = ACTIVATION_BITS + EXPONENT_MAX + i.bit_length() + 1
            added = Signal(signed(bits), name=f"s_{p}_{o}_{i}", reset_less=True)
            domain = m.d.sync if i % CHAINED == CHAINED - 1 or i == self.channels - 1 else m.d.comb
            domain += added.eq(term if total is None else total + term)
            total = added
        assert total is not None
        return total
