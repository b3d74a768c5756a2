"""The tile engine's operands beside their golden twin: words and windows, in any order, with any pauses."""

from functools import partial

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from hw.tile.operands import TAPS, Operands
from sim.benches.runner import Bench, parameters


def _bytes(values: np.ndarray) -> int:
    """The first byte in the lowest bits."""
    return int.from_bytes(values.astype(np.uint8).tobytes(), "little")


@cocotb.test()
async def operands_are_those_of_the_golden_twin(dut):
    channels = parameters()["channels"]
    for name in ("slides", "takes", "windowed", "upper"):
        getattr(dut, name).value = 0
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    rng = np.random.default_rng(channels)
    window = np.zeros((TAPS, channels), int)
    slid = compared = 0
    held, windowed = None, False
    for cycle in range(parameters()["cycles"]):
        word = rng.integers(0, 256, channels)
        slides, takes, chosen = (bool(each) for each in rng.random(3) < 0.5)
        upper = windowed and bool(rng.integers(2)) and channels < TAPS
        dut.word.value = _bytes(word)
        dut.slides.value, dut.takes.value, dut.windowed.value, dut.upper.value = slides, takes, chosen, upper
        await FallingEdge(dut.clk)
        if held is not None:
            wanted = Operands.compute(held, windowed=windowed, upper=upper)
            found = int(dut.x.value).to_bytes(channels**2, "little")
            found = np.frombuffer(found, np.uint8).reshape(channels, channels)
            used = min(TAPS, channels) if windowed else channels
            assert (found[:, :used] == wanted[:, :used]).all(), cycle
            compared += windowed
        if takes and (slid >= TAPS or not chosen):
            held, windowed = (window.copy() if chosen else word[None]), chosen
        elif takes:
            held = None
        if slides:
            window, slid = np.vstack([word, window[:-1]]), slid + 1
        await RisingEdge(dut.clk)
    assert compared > parameters()["cycles"] // 8


BENCHES = tuple(
    Bench(
        name=f"tile_operands_{channels}",
        component=partial(Operands, channels=channels),
        module=__name__,
        parameters={"channels": channels, "cycles": 4000},
    )
    for channels in (8, 16)
)
