"""Where pictures come from, and how a source ends."""

import cv2
import numpy as np
import pytest

from host.detect import sources
from host.detect.faces import SourceError
from host.detect.pipeline import Pipeline
from host.detect.sources import VideoSource, open_source
from models.detector.scenes import generated_scenes


@pytest.fixture
def folder(tmp_path):
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((20, 30, 3), 50 * index, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48))
    random = np.random.default_rng(0)
    for index in range(20):
        pixels = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)  # for some bytes a frame
        pixels[:, :16] = 10 * index
        writer.write(pixels)
    writer.release()
    return path


def test_a_folder_gives_its_pictures_in_order(folder):
    source = open_source(str(folder))
    frames = list(source.frames())
    assert [frame.name for frame in frames] == ["0.png", "1.png", "2.png", "3.png"]
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [0, 50, 100, 150]
    assert (source.live, source.broken, dict(source.left_out)) == (False, "", {})


def test_a_split_of_a_devkit_brings_its_truth(tmp_path):
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/val.txt").write_text("7\n")
    cv2.imwrite(str(tmp_path / "JPEGImages/7.jpg"), np.full((40, 60, 3), 9, np.uint8))
    corners = "<xmin>21</xmin><ymin>11</ymin><xmax>50</xmax><ymax>30</ymax>"
    (tmp_path / "Annotations/7.xml").write_text(
        f"<annotation><object><name>dog</name><bndbox>{corners}</bndbox></object></annotation>"
    )
    (frame,) = open_source(f"{tmp_path}:val").frames()
    np.testing.assert_allclose(frame.truth.boxes, [[20, 10, 50, 30]])
    with pytest.raises(SourceError, match=r"no .*train\.txt'; give the folder that holds JPEGImages"):
        open_source(f"{tmp_path}:train")


def test_one_picture_is_a_source_too(folder):
    assert [frame.name for frame in open_source(str(folder / "2.png")).frames()] == ["2.png"]


def test_a_picture_that_cannot_be_read_is_left_out_and_counted(folder, brightness, listed, classes):
    (folder / "1.png").write_bytes(b"\x89PNG but no more")
    (folder / "2.png").write_bytes(b"")
    source, sink = open_source(str(folder)), listed()
    summary = Pipeline(source, brightness(), [sink], classes=classes).run()
    assert [event.name for event in sink.events] == ["0.png", "3.png"]
    assert sum(summary.left_out.values()) == 2
    assert any("1.png' is no picture that OpenCV can decode" in line for line in summary.lines())


def test_a_video_gives_every_frame(video):
    source = open_source(str(video))
    frames = list(source.frames())
    source.close()
    assert [frame.name for frame in frames[:2]] == ["clip.avi#0", "clip.avi#1"]
    assert [abs(int(frame.pixels[5, 5, 1]) - 10 * index) < 4 for index, frame in enumerate(frames)] == [
        True
    ] * 20
    assert (source.live, source.rate, source.broken) == (False, 12.5, "")


def test_a_truncated_video_says_where_it_ends(video, brightness, listed, classes):
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    source, sink = VideoSource(video), listed()
    summary = Pipeline(source, brightness(), [sink], classes=classes).run()
    source.close()
    assert 0 < summary.frames < 20
    assert f"ends after {summary.frames} of 20 frames: it is damaged or truncated" in summary.broken
    assert sink.indices == list(range(summary.frames))


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(SourceError, match=r"clip\.mp4 cannot be opened; is it a video"):
        open_source(str(tmp_path / "clip.mp4"))


class Camera:
    """OpenCV's capture of a camera that is unplugged after three frames."""

    def __init__(self, number):
        self.number, self.left, self.released = number, 3, False

    def isOpened(self):
        return self.number == 1

    def get(self, _what):
        return 30.0

    def read(self):
        self.left -= 1
        return (True, np.zeros((8, 8, 3), np.uint8)) if self.left >= 0 else (False, None)

    def release(self):
        self.released = True


def test_a_camera_that_is_unplugged_ends_clearly(monkeypatch, brightness, classes):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    source = open_source("camera:1")
    assert source.live
    # Held back, so that no frame is dropped.
    summary = Pipeline(source, brightness(), classes=classes, settings=sources_settings()).run()
    assert summary.frames == 3
    assert summary.broken == "camera:1 stopped answering after 3 frames; is it still plugged in?"
    source.close()


def sources_settings():
    from host.detect.settings import Settings

    return Settings(policy="block")


def test_a_camera_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with pytest.raises(SourceError, match="camera:0 cannot be opened; is it plugged in"):
        open_source("camera")


def test_generated_scenes_are_as_many_as_asked_for():
    assert len(list(open_source("generated", frames=7).frames())) == 7
    assert len(list(open_source("generated:count=3,seed=5", frames=7).frames())) == 3
    frame = next(iter(open_source("generated:seed=5,count=3").frames()))
    assert np.array_equal(frame.pixels, generated_scenes(3, seed=5)[0].pixels)
    assert frame.truth is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere", "'nowhere' is no source; a source is camera"),
        ("nowhere.mp4", r"there is no file 'nowhere\.mp4'"),
        ("generated:size=3", "generated scenes have count and seed, not 'size'"),
        ("generated:count=x", "'x' in 'count=x' is no number"),
        ("camera:front", "'front' in 'camera:front' is no number"),
    ],
)
def test_what_is_no_source_is_refused(text, message):
    with pytest.raises(SourceError, match=message):
        open_source(text)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(SourceError, match="there are no pictures"):
        open_source(str(tmp_path))


def test_without_the_data_folder_generated_scenes_are_offered(tmp_path):
    with pytest.raises(
        SourceError, match=r"voc2007_test_split.*Or take generated scenes: --source generated"
    ):
        sources.voc_source(tmp_path)
