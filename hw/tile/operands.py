"""What a pixel lane multiplies: a word for all outputs, or of a window of words a channel for each."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arith.ternary_add import two_luts

__all__ = ["TAPS", "Operands"]

#: Words of the largest window.
TAPS = 9


class Operands(wiring.Component):
    """`x[o][i]` is byte i of `word`, or, of a window, byte o of the i-th newest word that slid in.

    With `takes`, operands change in the next cycle: to `word`, or with `windowed` to the words that `slides`
    has put into the window before. `upper` is looked at in the same cycle as the operands and shows, instead
    of the first words of a window, those beyond the input lanes. No back-pressure.

    The choice is made in front of the registers that hold the operands, so that no product is slower for it.
    With `technology`, two bits of it share a table. All words of a window are looked at, so that they become
    flip-flops, which abound, and not shift registers.
    """

    def __init__(self, *, channels: int, technology: str | None = None):
        self._channels, self._technology = channels, technology
        super().__init__(
            {
                "word": In(8 * channels),
                "slides": In(1),
                "takes": In(1),
                "windowed": In(1),
                "upper": In(1),
                "x": Out(data.ArrayLayout(data.ArrayLayout(8, channels), channels)),
            }
        )

    @staticmethod
    def passes(taps: int, channels: int) -> int:
        """How many beats a digit of a window takes."""
        return -(-taps // channels)

    @staticmethod
    def compute(words: np.ndarray, *, windowed: bool, upper: bool) -> np.ndarray:
        """The golden twin: words (word, byte), the newest first, to operands (output, input)."""
        channels = words.shape[1]
        if not windowed:
            return np.repeat(words[:1], channels, axis=0)
        window = words[:TAPS].T
        x = np.zeros((channels, channels), words.dtype)
        x[:, : min(TAPS, channels)] = window[:, :channels]
        if upper:
            x[:, : TAPS - channels] = window[:, channels:]
        return x

    def elaborate(self, platform) -> Module:
        m = Module()
        lanes, bits = self._channels, 8 * self._channels
        window = [Signal(bits, name=f"window_{tap}", reset_less=True) for tap in range(TAPS)]
        held = [Signal(bits, name=f"held_{tap}", reset_less=True) for tap in range(TAPS)]
        plain = Signal(bits, reset_less=True)
        with m.If(self.slides):
            m.d.sync += [new.eq(old) for new, old in zip(window, [self.word, *window], strict=False)]
        with m.If(self.takes):
            m.d.sync += plain.eq(self.word)
            for tap in range(TAPS):
                chosen: Value = window[tap]
                if tap < lanes:
                    same = self.word.word_select(tap, 8).replicate(lanes)
                    chosen = self._chosen(m, f"choice_{tap}", window[tap], same)
                m.d.sync += held[tap].eq(chosen)
        for o in range(lanes):
            for i in range(lanes):
                source = held[i] if i < TAPS else plain.word_select(i, 8).replicate(lanes)
                operand: Value = source.word_select(o, 8)
                if lanes + i < TAPS:
                    operand = Mux(self.upper, held[lanes + i].word_select(o, 8), operand)
                m.d.comb += self.x[o][i].eq(operand)
        return m

    def _chosen(self, m: Module, name: str, window: Value, word: Value) -> Value:
        if self._technology is None:
            return Mux(self.windowed, window, word)
        # Of the inputs, in turn: a bit of the window and of the word, the next bits, the choice.
        low, high = ([n >> (place if n >> 4 else place + 1) & 1 for n in range(32)] for place in (0, 2))
        bits: list[Value] = []
        for bit in range(0, len(window), 2):
            inputs = [window[bit], word[bit], window[bit + 1], word[bit + 1], self.windowed]
            bits += two_luts(m, f"{name}_{bit}", low, high, inputs)
        return Cat(bits)
