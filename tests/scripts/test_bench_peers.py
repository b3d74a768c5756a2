"""The comparison with peers, without any peer."""

import sys
from pathlib import Path

import pytest
import tomllib
import typer
from rich.console import Console
from typer.testing import CliRunner

from scripts import bench
from scripts.bench_peers import Contender, compared, table

ROOT = Path(__file__).parents[2]
app = typer.Typer()
app.command()(bench.command)

OURS = Contender(
    name="ours", key="tile.sim", lanes=100, cycles=2000, lut=1000, ff=1, dsp=0, ramb36=1.5, mismatches=0
)
PEER = Contender(
    name="theirs", key="nngen.4x4", lanes=50, cycles=5000, lut=3000, ff=2, dsp=7, ramb36=2, mismatches=0
)
MACS = 100_000


def test_figures_of_a_contender():
    found = compared([OURS, PEER], MACS)
    # 100,000 multiply-accumulates are 200,000 operations in 20 us: 10 GOPS in a thousand LUT.
    assert found["peers.tile.sim.gops_per_klut_100mhz"] == pytest.approx(10)
    assert found["peers.tile.sim.lane_use"] == pytest.approx(0.5)
    assert found["peers.tile.sim.lut_cycles"] == 2_000_000
    assert found["peers.nngen.4x4.lut_cycles"] == 15_000_000
    assert found["peers.nngen.4x4.lut_cycles_over_ours"] == pytest.approx(7.5)
    assert found["peers.nngen.4x4.dsp"] == 7
    assert "peers.tile.sim.lut_cycles_over_ours" not in found


def test_the_table_has_a_row_each():
    console = Console(width=200, record=True)
    console.print(table([OURS, PEER], MACS))
    text = console.export_text()
    assert "0.1 M multiply-accumulates" in text
    ours = next(line for line in text.splitlines() if "ours" in line)
    for cell in ("2,000", "50.0%", "1,000", "1.5", "2e+06", "10.00"):
        assert cell in ours
    assert "theirs" in text


@pytest.mark.parametrize("python", [sys.executable, "/nowhere/python"])
def test_without_nngen_one_line_says_what_to_install(python):
    """At once: nothing long is begun before."""
    result = CliRunner().invoke(app, ["--peers", "--python", python], env={"COLUMNS": "80"})
    assert result.exit_code == 2
    lines = result.output.strip().splitlines()
    assert len(lines) == 1
    assert f"{python} has no NNgen: run `make bench-peers`" in lines[0]
    assert f"{python} -m pip install nngen==" in lines[0]


def test_wrong_results_fail(monkeypatch):
    wrong = Contender(**(vars(PEER) | {"mismatches": 3}))
    monkeypatch.setattr("scripts.bench_peers.measure", lambda **_: [OURS, wrong])
    monkeypatch.setattr("scripts.figures.record", lambda verb, figures: f"{verb} {len(figures)}")
    result = CliRunner().invoke(app, ["--peers"], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "some results are wrong" in result.output


def test_the_message_names_the_versions_of_the_extra():
    from sim.peers.nngen_peer import PIN

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert tuple(extras["peers"]) == PIN
