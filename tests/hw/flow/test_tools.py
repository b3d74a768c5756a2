import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hw.flow.tools import FlowError, MissingTool, Tool, require, run, telling_line

TOOL = Tool(names=("frobnicate", "old-frobnicate"), remedy="pip install frobnicate")


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script on PATH under a name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name, body):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    return write


def test_the_first_of_several_names_is_run(program, tmp_path):
    assert TOOL.find() is None
    program("old-frobnicate", "echo old")
    assert run(TOOL, [], folder=tmp_path, log=tmp_path / "log") == "old\n"
    program("frobnicate", "echo new $1")
    assert run(TOOL, ["--x"], folder=tmp_path, log=tmp_path / "log") == "new --x\n"


def test_everything_missing_is_named_at_once():
    other = Tool(names=("defrobnicate",), remedy="buy it")
    with pytest.raises(MissingTool) as caught:
        require([TOOL, other], purpose="the flow")
    assert str(caught.value) == (
        "the flow needs programs that are not installed:\n"
        "  frobnicate: pip install frobnicate\n  defrobnicate: buy it"
    )


def test_a_failure_is_one_line_with_the_log_to_read(program, tmp_path):
    program("frobnicate", "echo fine; echo 'ERROR: no room for cell x' >&2; echo more; exit 3")
    log = tmp_path / "logs" / "step.log"
    with pytest.raises(FlowError) as caught:
        run(TOOL, [], folder=tmp_path, log=log)
    assert str(caught.value) == f"frobnicate failed: ERROR: no room for cell x; read {log}"
    assert log.read_text() == "fine\nERROR: no room for cell x\nmore\n"


@pytest.mark.parametrize(
    ("log", "status", "expected"),
    [
        ("a\nERROR: [Synth 8-439] module 'x' not found\nb", 1, "ERROR: [Synth 8-439] module 'x' not found"),
        ("note: ERRORS are 0\nlast words\n\n", 2, "exit status 2, last line 'last words'"),
        ("", -9, "signal SIGKILL without a word"),
        ("Traceback (most recent call last):\n  x\n", 1, "Traceback (most recent call last):"),
    ],
)
def test_the_telling_line(log, status, expected):
    assert telling_line(log, status) == expected


def test_nothing_that_was_started_outlives_an_interrupt(program, tmp_path):
    program("frobnicate", f"sleep 60 & echo $! > {tmp_path}/child; touch {tmp_path}/up; wait")
    script = """
        import sys
        from pathlib import Path
        from hw.flow.tools import Tool, run
        here = Path(sys.argv[1])
        run(Tool(names=("frobnicate",), remedy=""), [], folder=here, log=here / "log")
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    limit = time.monotonic() + 60
    while not (tmp_path / "up").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    child = int((tmp_path / "child").read_text())
    while time.monotonic() < limit and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
