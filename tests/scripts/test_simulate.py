"""`colonnade simulate` on a host program that knows nothing of simulation."""

import pytest
import typer
from typer.testing import CliRunner

from scripts.simulate import command

HOST = """
import sys
from pynq import Overlay
from host.overlays import bitfile
overlay = Overlay(bitfile("copy"))
print("host says", hex(overlay.copy.read(0)), sys.argv[1:], __name__)
if "hang" in sys.argv:
    while True:
        overlay.copy.read(0)
if "fail" in sys.argv:
    sys.exit(3)
"""


@pytest.fixture
def simulate(tmp_path):
    program = tmp_path / "host_program.py"
    program.write_text(HOST)
    app = typer.Typer()
    app.command()(command)
    return lambda *options: CliRunner().invoke(app, [str(program), "--overlay", "copy", *options])


def test_a_host_program_runs_unchanged(simulate, tmp_path):
    result = simulate("one", "--", "--two")
    assert result.exit_code == 0, result.output
    assert "host says 0x434f4c4e ['one', '--two'] __main__" in result.output
    assert "simulator of copy: " in result.output
    assert " cycles" in result.output


def test_a_hang_ends_with_the_state_of_the_overlay(simulate):
    result = simulate("hang", "--budget", "5000")
    assert result.exit_code == 1
    assert "overlay 'copy' hangs" in result.output
    assert "STATUS = 0x00000000" in result.output


def test_an_unknown_overlay_is_refused_with_the_known_ones(simulate):
    result = simulate("--overlay", "nonsense")
    assert result.exit_code == 2
    assert "there is no overlay 'nonsense'; there are copy" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--flavour", "versal"), "it is zynqmp or zynq7000, not 'versal'"),
        (("--stalls", "1"), "stalls is a probability below 1"),
    ],
)
def test_wrong_options_are_refused_in_a_line(simulate, option, message):
    result = simulate(*option)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", "").split())


def test_the_exit_code_is_the_programs_own(simulate):
    assert simulate("fail").exit_code == 3
