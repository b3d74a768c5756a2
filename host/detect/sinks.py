"""Where frames and boxes go: JSON lines, a video, a folder of PNGs, a window; `mjpeg` has its own file.

A file under way bears `.partial` in its name and is whole when it does not; JSON lines are always whole.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from host.detect.faces import Sink, SinkError
from host.detect.frames import FrameEvent
from host.ids.line_file import LineFile
from host.ids.line_file import SinkError as LineError
from models.detector.boxes import letterbox

__all__ = ["JsonLinesSink", "PngSink", "VideoSink", "WindowSink", "open_sink"]

FORMS = "jsonl:FILE, video:FILE, png:FOLDER, mjpeg[:[HOST:]PORT] or window"
#: A video's index is written at its end; so much is kept free for it.
RESERVE_BYTES = 16 << 20
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}


class JsonLinesSink:
    """One JSON object a frame, written through at once."""

    wants_picture = False

    def __init__(self, path: Path):
        try:
            self._file = LineFile(path)
        except LineError as error:
            raise SinkError(str(error)) from error
        self._frames = self._boxes = 0

    def take(self, event: FrameEvent) -> None:
        try:
            self._file.append(json.dumps(event.as_dict()) + "\n")
        except LineError as error:
            raise SinkError(str(error)) from error
        self._frames += 1
        self._boxes += len(event.detections)

    def close(self) -> list[str]:
        self._file.close()
        return [f"{self._file.path}: {self._boxes:,} boxes in {self._frames:,} frames"]


class PngSink:
    """A picture a frame, named by its number."""

    wants_picture = True

    def __init__(self, folder: Path):
        self._folder, self._frames = folder, 0
        _make_folder(folder)

    def take(self, event: FrameEvent) -> None:
        import cv2

        good, encoded = cv2.imencode(".png", event.drawn())
        if not good:
            raise SinkError(f"frame {event.index} of {event.pixels.shape!r} cannot be encoded as PNG")
        path = self._folder / f"{event.index:06d}.png"
        partial = path.with_suffix(".partial")
        try:
            partial.write_bytes(encoded.tobytes())
            partial.replace(path)
        except OSError as error:
            _forget(partial)
            raise SinkError(
                f"writing {str(path)!r} failed: {error.strerror}; the pictures before it are whole"
            ) from error
        self._frames += 1

    def close(self) -> list[str]:
        return [f"{self._folder}: {self._frames:,} pictures"]


class VideoSink:
    """A video with the boxes in it; all frames get the size of the first."""

    wants_picture = True

    def __init__(self, path: Path, *, rate: float = 25.0):
        if path.suffix.lower() not in CODECS:
            raise SinkError(f"a video ends in {', '.join(CODECS)}, not {path.name!r}")
        _make_folder(path.parent)
        self._path, self._rate = path, rate or 25.0
        self._partial = path.with_name(f"{path.stem}.{os.getpid()}.partial{path.suffix}")
        self._writer: Any = None
        self._size, self._frames = (0, 0), 0

    def take(self, event: FrameEvent) -> None:
        picture = event.drawn()
        if self._writer is None:
            self._open(picture.shape[0], picture.shape[1])
        if shutil.disk_usage(self._path.parent).free < RESERVE_BYTES:
            raise SinkError(
                f"the disk of {str(self._path)!r} is full; the {self._frames:,} frames written are whole. "
                "Make room, or name a file elsewhere"
            )
        if picture.shape[:2] != self._size:
            picture, _ = letterbox(picture, self._size)
        self._writer.write(picture)
        self._frames += 1

    def _open(self, height: int, width: int) -> None:
        import cv2

        self._size = (height, width)
        codec = cv2.VideoWriter_fourcc(*CODECS[self._path.suffix.lower()])  # type: ignore[attr-defined]
        self._writer = cv2.VideoWriter(str(self._partial), codec, self._rate, (width, height))
        if not self._writer.isOpened():
            raise SinkError(
                f"{str(self._path)!r} cannot be written; may you write there, and has this OpenCV the codec "
                f"{CODECS[self._path.suffix.lower()]}?"
            )

    def close(self) -> list[str]:
        if self._writer is None:
            return [f"{self._path}: no frame came, no video was written"]
        self._writer.release()
        if not self._frames:
            _forget(self._partial)
            return [f"{self._path}: nothing was written"]
        self._partial.replace(self._path)
        return [f"{self._path}: {self._frames:,} frames of {self._size[1]}x{self._size[0]}"]


class WindowSink:
    """A window on this machine's display; after q or Escape in it, `quit` is true."""

    wants_picture = True
    TITLE = "Colonnade"

    def __init__(self) -> None:
        import cv2

        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise SinkError("there is no display for a window; use mjpeg:8081 and a browser, or video:FILE")
        if "GUI:                           NONE" in cv2.getBuildInformation():
            raise SinkError(
                "this OpenCV was built without windows (opencv-python-headless); use mjpeg:8081 and a "
                "browser, or install opencv-python instead"
            )
        self.quit = False

    def take(self, event: FrameEvent) -> None:
        import cv2

        if self.quit:
            return
        cv2.imshow(self.TITLE, event.drawn())
        if cv2.waitKey(1) & 0xFF in (ord("q"), 27):
            self.quit = True
            cv2.destroyWindow(self.TITLE)

    def close(self) -> list[str]:
        return []


def open_sink(text: str, *, rate: float = 0.0) -> Sink:
    """The sink that a command line names; `rate` is the source's."""
    kind, _, rest = text.partition(":")
    if text == "window":
        return WindowSink()
    if kind == "mjpeg":
        from host.detect.mjpeg import MjpegSink

        host, _, port = rest.rpartition(":")
        if rest and not port.isdigit():
            raise SinkError(f"mjpeg:[HOST:]PORT wants a number as port, not {port!r}")
        return MjpegSink(host=host or "127.0.0.1", port=int(port or 8081))
    if kind not in ("jsonl", "video", "png") or not rest:
        raise SinkError(f"a sink is {FORMS}, not {text!r}")
    if kind == "video":
        return VideoSink(Path(rest), rate=rate)
    return JsonLinesSink(Path(rest)) if kind == "jsonl" else PngSink(Path(rest))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"folder {str(folder)!r} cannot be made: {error.strerror}") from error


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
