"""`colonnade detect`: exit codes, files, and what it says."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from models.detector.judging import judge
from models.detector.scenes import generated_scenes
from models.detector.zoo import detector_names, load_detector
from scripts import detect, detect_engines, figures
from scripts.detect_engines import SizeRefused, board_preset, size_of
from scripts.main import app

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BOARD", raising=False)
    monkeypatch.setattr(figures, "REPORTS", tmp_path / "reports")

    def run(*arguments: str):
        return CliRunner().invoke(app, ["detect", *arguments], env={"COLUMNS": "200"})

    return run


def rows(path="boxes.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def test_the_example_of_the_help_works(run):
    example = detect.HELP.split("Example: `colonnade detect ")[1].split("`")[0].split()
    result = run(*example, "--frames", "3", "--size", "64")
    assert result.exit_code == 0, result.output
    assert [row["frame"] for row in rows()] == [0, 1, 2]
    assert sorted(path.name for path in Path("boxes").iterdir()) == [
        f"00000{index}.png" for index in range(3)
    ]
    assert "3 frames in " in result.output
    assert "0 frames dropped (policy block)" in result.output
    assert "p99 ms" in result.output


def test_a_folder_of_pictures_and_a_timeline(run, tmp_path):
    (tmp_path / "pictures").mkdir()
    for index in range(2):
        cv2.imwrite(str(tmp_path / "pictures" / f"{index}.png"), np.zeros((40, 60, 3), np.uint8))
    arguments = ("--source", "pictures", "--size", "64x32", "--timeline", "out/timeline.svg")
    result = run(*arguments, "--sink", "jsonl:boxes.jsonl", "--sink", "video:boxes.avi")
    assert result.exit_code == 0, result.output
    assert [row["name"] for row in rows()] == ["0.png", "1.png"]
    assert Path("out/timeline.svg").read_text().startswith("<svg")
    assert Path("boxes.avi").stat().st_size > 0


def test_precision_through_the_pipeline_is_recorded_and_that_of_the_evaluation(run, monkeypatch):
    from host.detect import sources

    monkeypatch.setattr(detect, "FULL_SIDE", 96)
    monkeypatch.setattr(sources, "voc_source", lambda data, split: sources.generated_source(count=6, seed=9))
    result = run("--source", "voc", "--size", "96", "--judge")
    assert result.exit_code == 0, result.output
    kept = json.loads(Path("reports/detect_model_judged.json").read_text())["figures"]
    detector = load_detector(detector_names()[-1])
    expected = judge(generated_scenes(6, seed=9), detector.runner((96, 96)), (96, 96), classes=20)
    assert kept["detect.pipeline_map_voc07"] == expected.voc07.mean
    assert kept["detect.pipeline_pictures"] == 6


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("--judge",), "--judge of all of --source voc at 512x512"),
        (("--soak",), "--soak of 10,000 --frames or more"),
        (("--measure",), "--size 512"),
    ],
)
def test_figures_that_compare_with_nothing_are_said_and_not_kept(run, arguments, wanted):
    result = run("--frames", "3", "--size", "32", *arguments)
    assert result.exit_code == 0, result.output
    assert f"not written to build/reports, which takes {wanted}" in result.output
    assert not Path("reports").exists()


def test_a_soak_is_recorded(run, monkeypatch):
    monkeypatch.setattr(detect, "SOAK_FRAMES", 50)
    result = run("--frames", "50", "--size", "32", "--soak")
    assert result.exit_code == 0, result.output
    kept = json.loads(Path("reports/detect_model_soak.json").read_text())["figures"]
    assert (kept["detect.soak_frames"], kept["detect.soak_out_of_order"]) == (50, 0)
    assert "50 frames, 0 out of order, memory grew by" in result.output


def test_measuring_records_every_stage(run, monkeypatch):
    monkeypatch.setattr(detect, "FULL_SIDE", 64)
    result = run("--measure", "--frames", "3", "--size", "64")
    assert result.exit_code == 0, result.output
    kept = json.loads(Path("reports/detect_stages.json").read_text())["figures"]
    stages = ("letterbox", "quantise", "decode", "suppress", "draw")
    assert kept["detect.host_stage_ms_max"] == max(kept[f"detect.{stage}_ms"] for stage in stages) > 0
    assert kept["detect.model.fps"] > 0


def test_a_difference_between_engines_is_1(run, monkeypatch):
    from host.detect.engines import ModelEngine

    take, taken = ModelEngine.take, []

    def wrong_at_third(self):
        maps = take(self)
        taken.append(self)
        if len(taken) == 3:  # the second frame of the first engine
            maps[0][0, 0, 0] += 1
        return maps

    monkeypatch.setattr(ModelEngine, "take", wrong_at_third)
    result = run("--frames", "2", "--size", "32", "--compare")
    assert result.exit_code == 1, result.output
    assert "1,050 integers of 2 frames compared with the integer program: 1 differ" in result.output


def test_frames_are_dropped_only_when_asked_for_and_counted(run):
    result = run(
        "--source",
        "generated:count=60",
        "--size",
        "96",
        "--policy",
        "drop-oldest",
        "--sink",
        "jsonl:boxes.jsonl",
    )
    assert result.exit_code == 0, result.output
    found = rows()
    assert f"{60 - len(found)} frames dropped (policy drop-oldest)" in result.output
    assert found[-1]["dropped"] == 60 - len(found)
    assert [row["frame"] for row in found] == sorted({row["frame"] for row in found})


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--source", "nowhere"), 2, "'nowhere' is no source"),
        (("--sink", "boxes.txt"), 2, "a sink is jsonl:FILE"),
        (("--size", "100"), 2, "multiples of 32, not '100'"),
        (("--size", "big"), 2, "a size is a number such as 512"),
        (("--policy", "drop"), 2, "policy must be one of"),
        (("--model", "nobody"), 2, "there is no detector 'nobody'"),
        (("--board", "pynq"), 2, "this machine is no PYNQ board"),
        (("--board", "zcu104"), 2, "run this on the ZCU104 itself"),
        (("--board", "nothing"), 2, "Pynq-Z2, Ultra96, KV260, ZCU104, not 'nothing'"),
        (("--sink", "jsonl:/dev/full"), 2, "'/dev/full' failed: No space left on device"),
        (("--timeline", "/proc/nowhere/a.svg"), 2, "the timeline '/proc/nowhere/a.svg' cannot be written"),
        (("--timeline", "a.png"), 2, "the timeline is an .svg file, not 'a.png'"),
        (("--source", "voc", "--data", "nowhere"), 2, "makes traffic. Or take generated scenes"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(run, arguments, code, message):
    result = run("--frames", "3", *(() if "--size" in arguments else ("--size", "32")), *arguments)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_source_that_dies_is_2_and_its_frames_are_in_the_file(run, tmp_path):
    writer = cv2.VideoWriter("clip.avi", cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    random = np.random.default_rng(0)
    for _ in range(20):
        writer.write(random.integers(0, 256, (48, 64, 3)).astype(np.uint8))
    writer.release()
    content = Path("clip.avi").read_bytes()
    Path("clip.avi").write_bytes(content[: len(content) // 2])
    result = run("--source", "clip.avi", "--size", "32", "--sink", "jsonl:boxes.jsonl")
    assert result.exit_code == 2, result.output
    assert "of 20 frames: it is damaged or truncated" in result.output
    assert 0 < len(rows()) < 20


def test_a_board_that_fails_is_3(run, monkeypatch):
    import contextlib

    from host.detect.engines import EngineFailure

    @contextlib.contextmanager
    def failing(*arguments, **options):
        raise EngineFailure("the hardware reports read")
        yield

    monkeypatch.setattr(detect_engines, "open_engine", failing)
    result = run("--frames", "1", "--board", "sim")
    assert result.exit_code == 3
    assert "board sim: the hardware reports read" in result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_whole_files(tmp_path, number):
    program = [sys.executable, "-m", "scripts.main", "detect", "--frames", "1000000", "--size", "64"]
    sinks = ["--sink", f"jsonl:{tmp_path / 'boxes.jsonl'}", "--sink", f"video:{tmp_path / 'boxes.avi'}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = subprocess.Popen(
        [*program, *sinks], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    path = tmp_path / "boxes.jsonl"
    while not (path.exists() and path.read_text().count("\n") > 20) and started.poll() is None:
        time.sleep(0.05)
    started.send_signal(number)
    said = started.communicate(timeout=60)[1]
    assert started.returncode == 0, said
    assert "interrupted; everything up to here is in the files" in said
    found = rows(path)
    capture = cv2.VideoCapture(str(tmp_path / "boxes.avi"))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == len(found) > 20
    assert f"{len(found):,} frames in " in said


def test_sizes_are_width_by_height():
    assert size_of("512") == (512, 512)
    assert size_of("640x384") == (384, 640)
    for text in ("", "x", "64x64x64", "48", "-32", "0"):
        with pytest.raises(SizeRefused):
            size_of(text)


def test_a_board_is_the_one_that_this_runs_on(monkeypatch):
    monkeypatch.setenv("BOARD", "ZCU104")
    assert board_preset("pynq") == board_preset("zcu104") == ("ZCU104", "zu7ev")
    with pytest.raises(ValueError, match=r"run this on the Pynq-Z2 itself: it is a ZCU104; .*--preset z7020"):
        board_preset("pynq-z2")


def blocks_of_the_docs() -> list[str]:
    return (ROOT / "docs" / "detect.md").read_text().split("```")[1::2]


def test_the_commands_of_the_docs_work_one_after_the_other(run):
    commands = [line.split() for line in blocks_of_the_docs()[0].split("\n") if line]
    assert len(commands) == 6
    for program, verb, *arguments in commands:
        assert (program, verb) == ("colonnade", "detect")
        result = run(*arguments)
        assert result.exit_code == 0, (arguments, result.output)
    assert len(rows()) == 20
    assert Path("timeline.svg").exists()
    assert 0 < len(rows("seen.jsonl")) <= 20


def test_the_program_of_the_docs_works(capsys):
    (program,) = (
        block.removeprefix("python") for block in blocks_of_the_docs() if block.startswith("python")
    )
    exec(compile(program, "docs/detect.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 6
