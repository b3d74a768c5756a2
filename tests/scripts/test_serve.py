"""`colonnade serve`: what it refuses, and that it begins, answers and ends."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from host.live.server import page_files
from scripts.main import app
from scripts.serve_bench import BenchError

ROOT = Path(__file__).parents[2]
QUICK = ("--source", "generate:seconds=1,attacks=dos", "--model", "ours", "--pictures", "none", "--port", "0")
PATIENCE_S = 60.0


def run(*arguments: str):
    return CliRunner().invoke(app, ["serve", *arguments])


@pytest.fixture
def started():
    """Serves until the end of the test; gives the process and the address that it prints."""
    processes = []

    def start(*arguments: str) -> tuple[subprocess.Popen, str]:
        command = [sys.executable, "-m", "scripts.main", "serve", *QUICK, *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        line = process.stderr.readline()
        found = re.match(r"open (http://\S+)\n", line)
        assert found, line + process.stderr.read()
        return process, found[1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def get(url: str, **headers: str):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--source", "none", "--pictures", "none"], 2, "leave nothing to show"),
        (["--source", "missing.log"], 2, "there is no capture file 'missing.log'"),
        (["--pictures", "missing.mp4", "--source", "none"], 2, "there is no file 'missing.mp4'"),
        (["--board", "fpga"], 2, "--board is model, sim or pynq, not 'fpga'"),
        (["--preset", "huge"], 2, "--preset is one of sim,"),
        (["--board", "sim", "--engine", "sim"], 2, "an FPGA holds one overlay at a time"),
        (["--size", "100"], 2, "must be multiples of 32"),
        (["--model", "nonsense", "--pictures", "none"], 2, "there is no CAN model 'nonsense'"),
        (["--detector", "nonsense", "--source", "none"], 2, "there is no detector 'nonsense'"),
        (["--host", "192.0.2.1"], 2, "none of this machine"),
        (["--board", "pynq", "--pictures", "none"], 3, "there is no bitstream of overlay 'ids'"),
    ],
)
def test_wrong_use_is_said(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.delenv("COLONNADE_OVERLAYS", raising=False)
    result = run("--port", "0", *arguments)
    assert result.exit_code == code, result.output
    assert message in result.output


def test_a_port_in_use_is_2_and_said_before_anything_is_opened():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("--source", "missing.log", "--port", port)
    assert result.exit_code == 2
    assert f"port {port} is in use" in result.output
    assert "--port" in result.output


def test_it_ends_by_the_clock():
    result = run(*QUICK, "--seconds", "0.3")
    assert result.exit_code == 0, result.output
    assert "stopped" in result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_a_client_reads(started, number):
    process, url = started()
    with get(f"{url}events") as stream:
        assert stream.readline() == b"retry: 1000\n"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
    assert "stopped" in process.stderr.read()


def test_frames_go_through_the_model_and_are_told(started):
    _, url = started()
    with get(f"{url}events") as stream:
        for line in stream:
            if line.startswith(b"data: "):
                can = json.loads(line[6:])["can"]
                if can["alerts"]:
                    break
    assert can["frames"] >= can["alerts"] > 0
    by_class = {row["name"]: row["alerts"] for row in can["classes"]}
    assert sum(by_class.values()) == can["alerts"] == sum(row["count"] for row in can["last_alerts"])
    assert all(by_class[row["class"]] >= row["count"] for row in can["last_alerts"])


def test_a_source_that_ends_is_told_and_the_page_stays(started):
    _, url = started("--no-repeat")
    with get(f"{url}events") as stream:
        for line in stream:
            if line.startswith(b"data: ") and (notes := json.loads(line[6:])["notes"]):
                break
    assert "has ended" in notes[0]
    assert get(url).status == 200


def test_elsewhere_a_token_is_part_of_the_address(started):
    process, url = started("--host", "0.0.0.0")
    address, token = re.fullmatch(r"(http://0\.0\.0\.0:\d+/)\?token=(\S{22,})", url).groups()
    address = address.replace("0.0.0.0", "127.0.0.1")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(address)
    with get(f"{address}state.json", Authorization=f"Bearer {token}") as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert token not in process.stderr.read(), "it is printed once"


def test_the_page_is_part_of_the_package():
    """Named in the project file: without that, an installed package has no page."""
    settings = (ROOT / "pyproject.toml").read_text()
    assert '"host.live" = ["page/*"]' in settings
    assert {"/", "/index.html", "/live.js", "/charts.js", "/live.css", "/icon.svg"} == set(page_files())


def test_a_bench_that_says_nothing_ends_in_a_line(monkeypatch):
    def measure(_):
        raise BenchError("100 clients read 7 bytes")

    monkeypatch.setattr("scripts.serve_bench.measure", measure)
    result = run("--bench")
    assert result.exit_code == 1
    assert result.output == "100 clients read 7 bytes; nothing was kept\n"
