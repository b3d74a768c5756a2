"""The tile engine's sums of products, and its way from sums to bytes, beside their golden twins."""

import random
from collections import deque

import cocotb
import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from hw.arith.requantise import SHIFT_MAX, Requantise
from hw.arith.shift_lane import ShiftArray, codes
from models.program.digits import DIGIT_BITS, DIGITS
from sim.benches.runner import Bench, parameters

PIXELS, CHANNELS, BITS = 2, 8, 26


class Arithmetic(wiring.Component):
    """Both units side by side, so that one simulator serves them."""

    def __init__(self):
        self._array = ShiftArray(pixels=PIXELS, channels=CHANNELS)
        self._requantise = Requantise(bits=BITS)
        super().__init__(
            {"array": In(self._array.signature.flip()), "requantise": In(self._requantise.signature.flip())}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        for name, unit in (("array", self._array), ("requantise", self._requantise)):
            m.submodules[name] = unit
            wiring.connect(m, unit, wiring.flipped(getattr(self, name)))
        return m


async def _begin(dut) -> None:
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


def _bits(values, width: int) -> int:
    """The first value in the lowest bits."""
    return sum(int(value) % (1 << width) << width * index for index, value in enumerate(values))


@cocotb.test()
async def sums_are_those_of_the_golden_twin(dut):
    await _begin(dut)
    rng = np.random.default_rng(1)
    array = ShiftArray(pixels=PIXELS, channels=CHANNELS)
    expected = deque()
    for cycle in range(parameters()["cycles"]):
        high = 256 if cycle % 3 else 2  # all ones, too: the widest sums
        x = 255 - rng.integers(0, high, (PIXELS, CHANNELS, CHANNELS))
        digits = rng.choice(DIGITS if cycle % 5 else [4, -4], (CHANNELS, CHANNELS))
        dut.array_x.value = _bits(x.reshape(-1), 8)
        dut.array_w.value = _bits(codes(digits).reshape(-1), DIGIT_BITS)
        expected.append(_bits(ShiftArray.compute(x, digits).reshape(-1), array.sum_bits))
        await FallingEdge(dut.clk)
        if len(expected) > array.latency_cycles:
            assert int(dut.array_sums.value) == expected.popleft(), cycle
        await RisingEdge(dut.clk)


@cocotb.test()
async def bytes_are_those_of_the_golden_twin(dut):
    await _begin(dut)
    rng = random.Random(1)
    expected = deque()
    limits = deque()
    for cycle in range(parameters()["cycles"]):
        bias = rng.randint(-(1 << rng.randint(0, BITS - 2)), 1 << rng.randint(0, BITS - 2))
        least, most = -(1 << BITS - 1) - min(bias, 0), (1 << BITS - 1) - 1 - max(bias, 0)
        shift, low = rng.randint(0, SHIFT_MAX), rng.randint(0, 255)
        total = rng.randint(-3, 1000) << shift >> rng.randint(0, 2)  # near the bytes, ties among them
        x = min(max(total - bias, least), most)
        high, raw = rng.randint(low, 255), rng.random() < 0.2
        inputs = (("x", x, BITS), ("bias", bias, BITS), ("shift", shift, 5))
        for name, value, width in inputs:
            getattr(dut, f"requantise_{name}").value = value % (1 << width)
        expected.append(Requantise.compute(x, bias, shift, low, high, raw=raw))
        limits.append((low, high, int(raw)))
        if len(limits) > Requantise.LIMITS_CYCLES:
            now = limits.popleft()
            for name, value in zip(("low", "high", "raw"), now, strict=True):
                getattr(dut, f"requantise_{name}").value = value
        await FallingEdge(dut.clk)
        if len(expected) > Requantise.LATENCY_CYCLES:
            assert int(dut.requantise_y.value) == expected.popleft(), cycle
        await RisingEdge(dut.clk)


BENCHES = (
    Bench(name="tile_arithmetic", component=Arithmetic, module=__name__, parameters={"cycles": 20_000}),
)
