"""`colonnade ids`: exit codes that scripts can use, and files that are there afterwards."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import can
import numpy as np
import pytest
from typer.testing import CliRunner

from models.can_ids.frames import Frames
from models.can_ids.generator import generate
from models.can_ids.readers import write_candump
from models.can_ids.zoo import load_model
from scripts.main import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.delenv("COLONNADE_OVERLAYS", raising=False)

    def run(*arguments: str):
        return CliRunner().invoke(app, ["ids", *arguments])

    return run


@pytest.fixture
def attacked(tmp_path) -> Path:
    path = tmp_path / "attacked.log"
    write_candump(path, generate(seconds=1.0, seed=2, attacks=("dos",)))
    return path


@pytest.fixture
def harmless(tmp_path) -> Path:
    """Frames that nobody judges raise no alert: 29-bit identifiers."""
    frames = Frames.zeros(20)
    frames.identifier[:], frames.extended[:] = 0x18FEF100, True
    frames.timestamp[:] = np.arange(20)
    path = tmp_path / "harmless.log"
    write_candump(path, frames)
    return path


def test_alerts_are_1_and_lie_in_the_files(run, attacked):
    sinks = [part for kind in ("jsonl", "csv", "events") for part in ("--sink", f"{kind}:out.{kind}")]
    result = run("--source", str(attacked), "--board", "model", *sinks)
    assert result.exit_code == 1, result.output
    alerts = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert len(alerts) == len(Path("out.csv").read_text().splitlines()) - 1 > 0
    threshold = load_model("ours").calibration.threshold
    assert all(alert["score"] >= threshold and alert["class"] != "benign" for alert in alerts)
    events = [json.loads(line) for line in Path("out.events").read_text().splitlines()]
    assert sum(event["count"] for event in events) == len(alerts)
    assert "power: none measured, because this is no board with power rails" in result.output


def test_no_alert_is_0_and_unjudged_frames_are_counted(run, harmless):
    result = run("--source", str(harmless), "--board", "model", "--sink", "jsonl:a.jsonl", "--all")
    assert result.exit_code == 0, result.output
    assert "unjudged: 20 frames" in result.output
    assert {json.loads(line)["class"] for line in Path("a.jsonl").read_text().splitlines()} == {"unjudged"}


def test_a_threshold_and_classes_choose_the_alerts(run, attacked):
    assert run("--source", str(attacked), "--board", "model", "--threshold", "32000").exit_code == 0
    assert run("--source", str(attacked), "--board", "model", "--classes", "spoofing").exit_code == 0
    assert run("--source", str(attacked), "--board", "model", "--classes", "dos").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a --source"),
        (["--source", "missing.log"], "there is no capture file 'missing.log'"),
        (["--source", "generate", "--board", "fpga"], "--board is sim, pynq or model, not 'fpga'"),
        (["--source", "generate", "--model", "nonsense"], "there is no CAN model 'nonsense'"),
        (["--source", "generate", "--classes", "martians"], "does not tell 'martians'"),
        (["--source", "generate", "--sink", "xml:a"], "a sink is jsonl:FILE"),
        (["--source", "generate", "--guard-key", "0x1"], "--guard-key needs --source pins"),
        (["--source", "pins", "--guard-key", "please"], "--guard-key is a number, such as 0x0123ABCD"),
        (["--source", "generate", "--model", "damaged.onnx"], "is it a whole ONNX file?"),
        (["--source", "can:nonsense:x"], "cannot be opened"),
        (["--source", "generate", "--sink", "jsonl:/dev/full"], "No space left on device"),
    ],
)
def test_wrong_use_is_2(run, arguments, message):
    shipped = load_model("ours").path
    Path("damaged.onnx").write_bytes(shipped.read_bytes()[:5000])
    Path("damaged.json").write_text(shipped.with_suffix(".json").read_text())
    board = [] if "--board" in arguments else ["--board", "model"]
    result = run(*arguments, *board)
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_a_generated_drive_is_judged_by_the_model_of_its_car_and_all_its_attacks_raise_alerts(run):
    result = run("--source", "generate:seconds=4", "--board", "model", "--sink", "jsonl:a.jsonl", "--all")
    assert result.exit_code == 1, result.output
    assert "model: generated" in result.output
    assert "trained on: generated traffic of vehicle 1" in result.output
    rows = [json.loads(line) for line in Path("a.jsonl").read_text().splitlines()]
    drive = generate(seconds=4.0, attacks=("dos", "fuzzing", "spoofing"))
    alerted = {row["class"] for row in rows if row["alert"]}
    assert alerted == {"dos", "fuzzing", "spoofing"}
    assert not any(row["alert"] and attack == 0 for row, attack in zip(rows, drive.attack, strict=True))


def test_a_file_without_frames_is_2(run, tmp_path):
    (tmp_path / "poem.txt").write_text("no frame\nat all\n")
    result = run("--source", str(tmp_path / "poem.txt"), "--board", "model")
    assert result.exit_code == 2
    assert "holds no CAN frame that could be read" in result.output


def test_a_missing_board_is_3(run):
    result = run("--source", "generate:seconds=1", "--board", "pynq", "--sink", "jsonl:a.jsonl")
    assert result.exit_code == 3, result.output
    assert "there is no bitstream of overlay 'ids'" in result.output


def test_pins_without_a_board_are_3(run):
    result = run("--source", "pins", "--board", "model")
    assert result.exit_code == 3
    assert "no CAN pins to listen on" in result.output


def test_a_live_source_ends_by_the_clock(run):
    with can.Bus(interface="virtual", channel="test_cli") as bus:
        bus.send(can.Message(arbitration_id=1))
        result = run("--source", "can:virtual:test_cli", "--board", "model", "--seconds", "0.3")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_live_run_clearly(tmp_path, number):
    command = [
        sys.executable,
        "-m",
        "scripts.main",
        "ids",
        "--source",
        "can:virtual:quiet",
        "--board",
        "model",
    ]
    sink = tmp_path / "a.csv"
    process = subprocess.Popen(
        [*command, "--sink", f"csv:{sink}"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 60
    while not (sink.exists() and sink.stat().st_size) and time.monotonic() < limit:
        time.sleep(0.05)
    time.sleep(0.5)  # the heading is written just before the first look at the bus
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert "interrupted; everything up to here is in the files" in said
    assert "Traceback" not in said


def test_the_cost_of_the_host_is_recorded(run, monkeypatch, tmp_path):
    monkeypatch.setattr("scripts.figures.REPORTS", tmp_path)
    assert run("--measure").exit_code == 0
    figures = json.loads((tmp_path / "ids_host.json").read_text())["figures"]
    assert figures["ids.host_us_per_frame"] > 0
