"""Files that are whole at the end, whatever the end was."""

import json
import os
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from host.detect import sinks
from host.detect.faces import SinkError
from host.detect.pipeline import Pipeline
from host.detect.sinks import JsonLinesSink, PngSink, VideoSink, open_sink


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        good, pixels = capture.read()
        if not good:
            return frames
        frames.append(pixels)


def test_a_line_is_in_the_file_as_soon_as_its_frame_is_done(event, tmp_path):
    sink = JsonLinesSink(tmp_path / "deep" / "boxes.jsonl")
    for index in range(2):
        sink.take(event(index))
        lines = (tmp_path / "deep" / "boxes.jsonl").read_text().splitlines()
        assert len(lines) == index + 1
    row = json.loads(lines[1])
    assert (row["frame"], row["name"], row["width"], row["height"], row["dropped"]) == (
        1, "picture 1", 64, 48, 2,
    )  # fmt: skip
    assert row["detections"] == [{"class": "class3", "score": 0.75, "box": [8.0, 10.0, 40.0, 30.0]}]
    assert row["stage_ms"] == {"capture": 1.0, "engine": 3.0}
    assert row["latency_ms"] == 4.0
    assert sink.close() == [f"{tmp_path / 'deep' / 'boxes.jsonl'}: 2 boxes in 2 frames"]


def test_a_full_disk_ends_json_lines_clearly(numbered, brightness, classes):
    with pytest.raises(SinkError, match="'/dev/full' failed: No space left on device"):
        Pipeline(numbered(50), brightness(), [JsonLinesSink_at("/dev/full")], classes=classes).run()


def JsonLinesSink_at(path):
    from pathlib import Path

    return JsonLinesSink(Path(path))


def test_a_disk_that_fills_up_leaves_whole_lines(numbered, brightness, classes, tmp_path, monkeypatch):
    sink = JsonLinesSink(tmp_path / "boxes.jsonl")
    write, room = os.write, [1000]

    def short(file, block):
        if file != sink._file._file:
            return write(file, block)
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = write(file, block[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(SinkError, match="What was written before is whole"):
        Pipeline(numbered(50), brightness(), [sink], classes=classes).run()
    rows = [json.loads(line) for line in (tmp_path / "boxes.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == list(range(len(rows)))
    assert len(rows) > 0


def test_pngs_are_the_drawn_pictures(numbered, brightness, classes, tmp_path):
    Pipeline(numbered(3), brightness(), [sink := PngSink(tmp_path / "out")], classes=classes).run()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "000000.png", "000001.png", "000002.png",
    ]  # fmt: skip
    picture = cv2.imread(str(tmp_path / "out" / "000002.png"))
    assert picture[-1, 0].tolist() == [2, 2, 2]
    assert (picture != 2).any()
    assert sink.close() == [f"{tmp_path / 'out'}: 3 pictures"]


def test_a_png_that_does_not_fit_is_not_there_at_all(event, tmp_path, monkeypatch):
    sink = PngSink(tmp_path)
    sink.take(event(0))
    path_type = type(tmp_path)
    write = path_type.write_bytes

    def full(self, content):
        write(self, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(path_type, "write_bytes", full)
    with pytest.raises(SinkError, match=r"000001\.png' failed: No space left on device; the pictures before"):
        sink.take(event(1))
    assert [path.name for path in tmp_path.iterdir()] == ["000000.png"]


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_video_appears_when_it_is_whole(event, tmp_path, suffix):
    path = tmp_path / f"boxes{suffix}"
    sink = VideoSink(path, rate=10.0)
    for index in range(5):
        sink.take(event(10 * index))
    assert not path.exists()
    assert sink.close() == [f"{path}: 5 frames of 64x48"]
    frames = frames_of(path)
    assert [abs(int(frame[-4, -4, 0]) - 40 - 10 * index) < 12 for index, frame in enumerate(frames)] == [
        True
    ] * 5
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_frames_of_another_size_are_fitted_into_the_video(event, tmp_path):
    sink = VideoSink(tmp_path / "boxes.avi")
    sink.take(event(0))
    sink.take(event(1, shape=(100, 64)))
    sink.close()
    assert [frame.shape for frame in frames_of(tmp_path / "boxes.avi")] == [(48, 64, 3)] * 2


def test_a_full_disk_leaves_a_video_that_plays(numbered, brightness, classes, tmp_path, monkeypatch):
    path = tmp_path / "boxes.mp4"
    calls = []

    def usage(folder):
        calls.append(folder)
        return SimpleNamespace(free=1 << 30 if len(calls) <= 7 else 1 << 20)

    monkeypatch.setattr(sinks, "shutil", SimpleNamespace(disk_usage=usage))
    with pytest.raises(SinkError, match=r"boxes\.mp4' is full; the 7 frames written are whole"):
        Pipeline(numbered(50), brightness(), [VideoSink(path)], classes=classes).run()
    assert len(frames_of(path)) == 7


def test_a_failure_elsewhere_leaves_a_video_that_plays(numbered, brightness, classes, tmp_path):
    path = tmp_path / "boxes.avi"
    with pytest.raises(RuntimeError, match="on fire"):
        Pipeline(numbered(500), brightness(fault_at=200), [VideoSink(path)], classes=classes).run()
    assert len(frames_of(path)) > 100
    assert [one.name for one in tmp_path.iterdir()] == ["boxes.avi"]


def test_no_frame_is_no_video(tmp_path):
    assert VideoSink(tmp_path / "boxes.mp4").close() == [
        f"{tmp_path / 'boxes.mp4'}: no frame came, no video was written"
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("boxes.txt", r"a sink is jsonl:FILE, .* not 'boxes\.txt'"),
        ("jsonl:", "a sink is jsonl:FILE"),
        ("video:boxes.gif", r"a video ends in \.mp4, \.avi, \.mkv, not 'boxes\.gif'"),
        ("mjpeg:here", "wants a number as port, not 'here'"),
        ("jsonl:/proc/none/boxes.jsonl", "cannot be opened for writing"),
        ("png:/proc/none/boxes", "cannot be made"),
    ],
)
def test_what_is_no_sink_is_refused(text, message):
    with pytest.raises(SinkError, match=message):
        open_sink(text)


def test_a_window_needs_a_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SinkError, match="no display for a window; use mjpeg:8081"):
        open_sink("window")


def test_a_window_needs_an_opencv_that_has_some(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           NONE\n")
    with pytest.raises(SinkError, match="built without windows"):
        open_sink("window")


def test_a_window_shows_what_is_drawn_until_q(event, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                           QT5\n")
    shown, keys = [], iter([-1, ord("q")])
    monkeypatch.setattr(cv2, "imshow", lambda title, picture: shown.append(picture))
    monkeypatch.setattr(cv2, "waitKey", lambda delay: next(keys))
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: shown.append(title))
    window = open_sink("window")
    for index in range(3):
        window.take(event(index))
    assert window.quit
    assert np.array_equal(shown[0], event(0).drawn())
    assert (len(shown), shown[-1]) == (3, "Colonnade")


def test_the_disk_that_is_asked_is_the_video_s(event, tmp_path, monkeypatch):
    asked = []
    usage = shutil.disk_usage
    monkeypatch.setattr(sinks.shutil, "disk_usage", lambda folder: asked.append(folder) or usage(folder))
    sink = VideoSink(tmp_path / "boxes.avi")
    sink.take(event(0))
    sink.close()
    assert asked == [tmp_path]
