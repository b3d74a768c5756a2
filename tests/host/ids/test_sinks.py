"""Files that are whole lines whatever happens, and what stands in them."""

import csv
import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from host.ids.line_file import LineFile
from host.ids.live import LiveSink
from host.ids.records import UNJUDGED, VERDICT, unpack
from host.ids.sinks import CsvSink, JsonLinesSink, SinkError, open_sink
from models.can_ids.frames import Attack, Frames

CLASSES = (Attack.BENIGN, Attack.DOS)


@pytest.fixture
def verdicts():
    records = np.zeros(3, VERDICT)
    records["verdict"] = [0, 1, UNJUDGED]
    records["alert"], records["score"] = [0, 1, 0], [-9, 12, 0]
    records["sequence"], records["timestamp"] = [4, 5, 6], [100, 200, 300]
    frames = Frames.zeros(3)
    frames.identifier[:] = [0x7, 0x7FF, 0x1ABCDEF0]
    frames.extended[2] = frames.remote[2] = True
    frames.dlc[:] = [0, 3, 0]
    frames.data[1, :3] = [0, 0xAB, 1]
    frames.timestamp[:] = [0.5, 1.25, np.nan]
    return unpack(records, frames=frames)


ALERT = {
    "timestamp": 1.25,
    "identifier": "7ff",
    "extended": False,
    "remote": False,
    "dlc": 3,
    "data": "00ab01",
    "class": "dos",
    "score": 12,
    "alert": True,
    "sequence": 5,
    "cycle": 200,
}


def test_json_lines_hold_the_alerts(tmp_path, verdicts):
    sink = JsonLinesSink(tmp_path / "new" / "a.jsonl", CLASSES)
    sink.take(verdicts)
    assert sink.close() == [f"{tmp_path / 'new' / 'a.jsonl'}: 1 alerts"]
    assert [json.loads(line) for line in (tmp_path / "new" / "a.jsonl").read_text().splitlines()] == [ALERT]


def test_json_lines_hold_everything(tmp_path, verdicts):
    sink = JsonLinesSink(tmp_path / "a.jsonl", CLASSES, everything=True)
    sink.take(verdicts)
    sink.close()
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["class"] for row in rows] == ["benign", "dos", "unjudged"]
    assert (rows[2]["identifier"], rows[2]["timestamp"], rows[2]["remote"]) == ("1abcdef0", None, True)


def test_csv_is_appended_to_with_one_heading(tmp_path, verdicts):
    for _ in range(2):
        sink = CsvSink(tmp_path / "a.csv", CLASSES, everything=True)
        sink.take(verdicts)
        sink.close()
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert (
        rows[1]
        == rows[4]
        == {name: str(value) for name, value in ALERT.items()}
        | {
            "extended": "0",
            "remote": "0",
            "alert": "1",
        }
    )
    assert rows[5]["timestamp"] == ""


def test_half_a_line_of_a_crash_is_cut_off(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"b":')
    file = LineFile(path)
    file.append('{"c": 3}\n')
    file.close()
    assert path.read_text() == '{"a": 1}\n{"c": 3}\n'


def test_a_long_half_line_and_one_without_any_newline(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("good\n" + "x" * 200_000)
    LineFile(path).close()
    assert path.read_text() == "good\n"
    path.write_text("y" * 200_000)
    LineFile(path).close()
    assert path.read_text() == ""


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_block_is_written_entirely_or_not_at_all(tmp_path, monkeypatch, failure):
    path = tmp_path / "a.jsonl"
    file = LineFile(path)
    file.append("one\n")
    write, calls = os.write, []

    def half_then_fail(descriptor, block):
        if calls:
            raise failure
        calls.append(1)
        return write(descriptor, block[: len(block) // 2])

    monkeypatch.setattr(os, "write", half_then_fail)
    with pytest.raises(SinkError if isinstance(failure, OSError) else KeyboardInterrupt) as caught:
        file.append("two\nthree\n")
    monkeypatch.undo()
    assert path.read_text() == "one\n"
    if isinstance(failure, OSError):
        assert "a.jsonl' failed: No space left on device. What was written before is whole" in str(
            caught.value
        )
    file.append("four\n")
    file.close()
    assert path.read_text() == "one\nfour\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_device(verdicts):
    sink = JsonLinesSink(Path("/dev/full"), CLASSES)
    with pytest.raises(SinkError, match=r"'/dev/full' failed: No space left on device.* make room"):
        sink.take(verdicts)
    sink.close()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(SinkError, match="cannot be opened for writing: Is a directory"):
        LineFile(tmp_path)


@pytest.mark.parametrize("text", ["jsonl", "jsonl:", "xml:a", ""])
def test_sinks_that_do_not_exist(text):
    with pytest.raises(SinkError, match="a sink is jsonl:FILE, csv:FILE, events:FILE or live, not"):
        open_sink(text, CLASSES)


def test_sinks_by_name(tmp_path):
    for kind in ("jsonl", "csv", "events"):
        open_sink(f"{kind}:{tmp_path / kind}", CLASSES).close()
        assert (tmp_path / kind).exists()
    open_sink("live", CLASSES).close()


def test_the_live_view_shows_counts_and_alerts(verdicts):
    console = Console(record=True, width=100, force_terminal=True, file=io.StringIO())
    sink = LiveSink(CLASSES, console=console)
    sink.take(verdicts)
    sink.take(verdicts)
    sink.close()
    text = console.export_text()
    assert "6 frames" in text
    assert "00 ab 01" in text
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert ["dos", "2", "2"] in rows
    assert ["unjudged", "2", "0"] in rows
