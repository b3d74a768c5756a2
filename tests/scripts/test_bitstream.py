"""`colonnade bitstream` and `boards`: what went wrong is one line, and the exit code says so."""

import errno
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hw.flow import bitstream as flow
from hw.flow.ecp5 import Ecp5Build
from hw.flow.timing import Placed
from scripts import bitstream, boards

ZOO = Path(__file__).parents[2] / "models" / "zoo"


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLONNADE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("scripts.figures.REPORTS", tmp_path / "reports")
    app = typer.Typer()
    app.command()(bitstream.command)
    return lambda *options: CliRunner().invoke(app, options)


@pytest.fixture
def quick(monkeypatch):
    """Place-and-route that takes no time, at a speed of our choice."""

    def fake(*reached_mhz, cells=None, raised=None):
        speeds = iter(reached_mhz or [120.0])

        def build(system, **_):
            if raised is not None:
                raise raised
            placed = Placed(
                requested_mhz=100,
                reached_mhz=next(speeds),
                critical_path=("system.receiver.left",),
                critical_ns=9.0,
                logic_ns=3.0,
                cells={"TRELLIS_COMB": 1500},
            )
            return Ecp5Build(
                bitstream=b"bits",
                placed=placed,
                synthesised={"DP16KD": 1} if cells is None else cells,
                netlist_hash="ab" * 32,
                fresh=True,
            )

        monkeypatch.setattr(flow.ecp5, "build", build)

    return fake


def test_a_build_says_requested_and_reached(cli, quick, tmp_path):
    quick()
    result = cli("--board", "ulx3s")
    assert result.exit_code == 0, result.output
    assert "requested 100 MHz, reached 120.0 MHz" in result.output
    assert "system.receiver.left" in result.output
    assert (tmp_path / "build/overlays/ULX3S/ids.bit").read_bytes() == b"bits"
    assert '"bitstream.ecp5.fmax_mhz": 120.0' in (tmp_path / "reports/bitstream.json").read_text()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--board", "ulx4s"], "there is no board 'ulx4s'"),
        (["--board", "ulx3s", "--overlay", "copy"], "there is no overlay 'copy' for this board"),
        (["--board", "zcu104", "--overlay", "idz"], "there is no overlay 'idz' for this board"),
        (["--board", "zcu104", "--flow", "ecp5"], "board ZCU104 has no flow 'ecp5'; it has vivado"),
        (["--board", "zcu104", "--flow", "quartus"], "there is no flow 'quartus'"),
        (["--board", "ulx3s", "--model", "gone.onnx"], "gone.onnx is missing"),
        (["--board", "ulx3s", "--clock-mhz", "104"], "clock_mhz 104.0 cannot be made"),
    ],
)
def test_what_cannot_be_built_is_one_clear_line(cli, options, complaint, tmp_path):
    result = cli(*options)
    assert result.exit_code == 1
    assert complaint in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "build" / "overlays").exists()


def test_a_clock_that_is_missed_delivers_nothing(cli, quick, tmp_path):
    quick(70.0, 99.9, 88.5)
    result = cli("--board", "ulx3s")
    assert result.exit_code == 1
    assert "reached 99.9 MHz" in result.output  # the best of all
    assert "--clock-mhz 96" in result.output
    assert not list((tmp_path / "build").rglob("*.bit"))


def test_an_unlucky_placement_is_tried_again(cli, quick):
    quick(99.9, 101.0)
    result = cli("--board", "ulx3s")
    assert result.exit_code == 0, result.output
    assert "reached 101.0 MHz" in result.output


def test_lost_weights_are_found_out(cli, quick):
    quick(cells={"LUT4": 900})
    result = cli("--board", "ulx3s")
    assert result.exit_code == 1
    assert "the weights were lost" in result.output


@pytest.mark.parametrize(
    ("raised", "status", "complaint"),
    [
        (KeyboardInterrupt(), 130, "interrupted: nothing was delivered"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
    ],
)
def test_a_full_disk_and_an_interrupt_end_in_a_line(cli, quick, tmp_path, raised, status, complaint):
    quick(raised=raised)
    result = cli("--board", "ulx3s")
    assert result.exit_code == status
    assert complaint in result.output
    assert not list(tmp_path.rglob("*.bit"))


def test_boards_lists_every_board_and_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    app = typer.Typer()
    app.command()(boards.command)
    output = CliRunner().invoke(app, [], env={"COLUMNS": "200"}).output
    for name in ("Pynq-Z2", "ZCU104", "KV260", "Ultra96", "ULX3S", "xczu7ev-ffvc1156-2-e", "without vivado"):
        assert name in output
    assert shutil.which("vivado") is None
