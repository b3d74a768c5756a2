"""Where pictures come from: a camera, a video, a folder, the data folder's test split, generated scenes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from host.detect.faces import Source, SourceError
from host.detect.frames import Captured
from models.detector.pictures import SUFFIXES, PictureSet

__all__ = ["CameraSource", "PicturesSource", "VideoSource", "generated_source", "open_source", "voc_source"]

FORMS = (
    "camera[:<number>], the path of a video, of a picture or of a folder of pictures, "
    "<folder of a VOCdevkit>:<split>, voc[:<split>], or generated[:count=<frames>,seed=<number>]"
)
#: Containers round the number of their frames; so much less than announced is a damaged file.
ANNOUNCED = 0.98
GENERATED_COUNT = 100


class PicturesSource:
    """A set of pictures in its order. One that cannot be decoded is left out, and counted."""

    live = False
    rate = 0.0
    broken = ""

    def __init__(self, pictures: PictureSet):
        self.name = pictures.description
        self.pictures = pictures
        self._left_out: dict[str, int] = {}

    @property
    def left_out(self) -> Mapping[str, int]:
        return self._left_out

    def frames(self) -> Iterator[Captured]:
        for name in self.pictures.names:
            try:
                picture = self.pictures.read(name)
            except (OSError, ValueError) as error:
                reason = f"unreadable: {error}" if not self._left_out else "unreadable, too"
                self._left_out[reason] = self._left_out.get(reason, 0) + 1
                continue
            yield Captured(picture.name, picture.pixels, picture.truth)

    def close(self) -> None:
        """A picture's file is closed as soon as it is read."""


class _CaptureSource:
    """Whatever OpenCV's VideoCapture opens."""

    live: bool
    left_out: Mapping[str, int] = {}

    def __init__(self, name: str, what: Any, remedy: str):
        import cv2

        self.name, self.broken = name, ""
        self._capture = cv2.VideoCapture(what)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"{name} cannot be opened; {remedy}")
        self.rate = float(self._capture.get(cv2.CAP_PROP_FPS)) or 0.0

    def frames(self) -> Iterator[Captured]:
        index = 0
        while True:
            good, pixels = self._capture.read()
            if not good:
                break
            yield Captured(f"{Path(self.name).name}#{index}", pixels)
            index += 1
        self.broken = self._why_ended(index)

    def _why_ended(self, read: int) -> str:
        raise NotImplementedError

    def close(self) -> None:
        self._capture.release()


class VideoSource(_CaptureSource):
    """A video file, frame by frame. It waits for the engine: nothing is lost."""

    live = False

    def __init__(self, path: Path):
        if not path.is_file():
            raise SourceError(f"there is no video {str(path)!r}; give the path of one")
        super().__init__(str(path), str(path), "is it a video that this OpenCV was built to decode?")

    def _why_ended(self, read: int) -> str:
        import cv2

        announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if read >= int(announced * ANNOUNCED):
            return ""
        return f"{self.name} ends after {read} of {announced} frames: it is damaged or truncated"


class CameraSource(_CaptureSource):
    """A camera of this machine. Frames come when they come."""

    live = True

    def __init__(self, number: int = 0):
        remedy = "is it plugged in (ls /dev/video*), and free for you to use (groups, other programs)?"
        super().__init__(f"camera:{number}", number, remedy)

    def _why_ended(self, read: int) -> str:
        return f"{self.name} stopped answering after {read} frames; is it still plugged in?"


def generated_source(*, count: int = GENERATED_COUNT, seed: int = 0) -> PicturesSource:
    """Plain shapes with known places, for runs without any photograph."""
    from models.detector.scenes import generated_scenes

    return PicturesSource(generated_scenes(count, seed=seed))


def voc_source(data: Path | None = None, *, split: str = "test_split") -> PicturesSource:
    """A split of the data folder's PASCAL VOC pictures."""
    from models.can_ids.captures import data_folder
    from models.detector.pictures import voc_split

    try:
        return PicturesSource(voc_split(data_folder(data), split))
    except (FileNotFoundError, ValueError) as error:
        why = str(error).rstrip(".")
        raise SourceError(f"{why}. Or take generated scenes: --source generated") from error


def open_source(text: str, *, frames: int | None = None, data: Path | None = None) -> Source:
    """The source that a command line names; `frames` is how many are wanted of an endless one."""
    kind, _, rest = text.partition(":")
    if Path(text).exists():
        return _from_path(Path(text))
    folder, _, split = text.rpartition(":")
    if folder and Path(folder).is_dir():
        return _devkit(Path(folder), split)
    if kind == "camera":
        return CameraSource(_number(rest, text) if rest else 0)
    if kind == "voc":
        return voc_source(data, split=rest or "test_split")
    if kind == "generated":
        return _generated(rest, frames)
    if Path(text).suffix:
        raise SourceError(f"there is no file {text!r}; a source is {FORMS}")
    raise SourceError(f"{text!r} is no source; a source is {FORMS}")


def _from_path(path: Path) -> Source:
    from models.detector.pictures import picture_folder

    try:
        if path.is_dir():
            return PicturesSource(picture_folder(path))
        if path.suffix.lower() in SUFFIXES:
            alone = picture_folder(path.parent)
            return PicturesSource(alone.select((path.name,), str(path)))
    except FileNotFoundError as error:
        raise SourceError(str(error)) from error
    return VideoSource(path)


def _devkit(folder: Path, split: str) -> Source:
    from models.detector.pictures import voc_devkit

    try:
        return PicturesSource(voc_devkit(folder, split))
    except FileNotFoundError as error:
        raise SourceError(str(error)) from error


def _generated(rest: str, frames: int | None) -> Source:
    values = {"count": frames or GENERATED_COUNT, "seed": 0}
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        if name not in values:
            raise SourceError(
                f"generated scenes have count and seed, not {name!r}; for example generated:count=20"
            )
        values[name] = _number(value, part)
    return generated_source(**values)


def _number(text: str, within: str) -> int:
    if not text.isdigit():
        raise SourceError(f"{text!r} in {within!r} is no number")
    return int(text)
