"""The threads of the pipeline: one takes from the source, one feeds the engine, the rest call a function."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from host.detect.clocks import StageClock
from host.detect.engines import Engine
from host.detect.faces import Source
from host.detect.frames import Frame
from host.detect.queue import Aborted, FrameQueue

__all__ = ["CaptureWorker", "EngineWorker", "FunctionWorker", "Worker"]


class Worker(threading.Thread):
    """A stage. What it raises goes to `failed`; when its frames end it closes its outlet."""

    def __init__(
        self,
        name: str,
        *,
        inlet: FrameQueue | None,
        outlet: FrameQueue | None,
        now: Callable[[], float],
        failed: Callable[[str, BaseException, Frame | None], None],
    ):
        super().__init__(name=f"detect-{name}", daemon=True)  # one that hangs must not keep the program
        self.stage, self.clock = name, StageClock()
        self.working_since: float | None = None  #: None while it waits for another stage
        self._inlet, self._outlet, self._now, self._failed = inlet, outlet, now, failed
        self._frame: Frame | None = None

    def run(self) -> None:
        try:
            self.work()
        except Aborted:
            pass
        except BaseException as error:
            self.working_since = None
            self._failed(self.stage, error, self._frame)
        else:
            if self._outlet is not None:
                self._outlet.close()
        finally:
            self.working_since, self._frame = None, None

    def work(self) -> None:
        """All frames."""
        raise NotImplementedError

    def _begin(self, frame: Frame | None) -> float:
        self._frame = frame
        self.working_since = began = self._now()
        return began

    def _end(self, frame: Frame, began: float) -> None:
        ended = self._now()
        self.working_since = None
        frame.spans[self.stage] = (began, ended)
        self.clock.add(frame.index, (began, ended))

    def _hand_over(self, frame: Frame) -> None:
        if self._outlet is not None:
            self._outlet.put(frame)


class FunctionWorker(Worker):
    """Calls a function with each frame."""

    def __init__(self, name: str, function: Callable[[Frame], None], **wiring):
        super().__init__(name, **wiring)
        self._function = function

    def work(self) -> None:
        assert self._inlet is not None
        while (frame := self._inlet.get()) is not None:
            began = self._begin(frame)
            self._function(frame)
            self._end(frame, began)
            self._hand_over(frame)
            del frame  # or it would be kept until the next one comes


class CaptureWorker(Worker):
    """Counts the frames of the source, until it ends, `most` are there, or somebody says stop."""

    def __init__(self, source: Source, *, most: int | None, pause_s: float = 0.0, **wiring):
        super().__init__("capture", inlet=None, **wiring)
        self._source, self._most, self._pause_s = source, most, pause_s
        self.stopping = threading.Event()

    def work(self) -> None:
        captured = iter(self._source.frames())
        index = 0
        while not self.stopping.is_set() and (self._most is None or index < self._most):
            began = self._begin(None)
            one = next(captured, None)
            if one is None:
                break
            frame = Frame(index, one.name, one.pixels, one.truth)
            self._end(frame, began)
            del one
            self._hand_over(frame)
            del frame
            index += 1
            if self._pause_s:
                self.stopping.wait(max(0.0, self._pause_s - (self._now() - began)))


class EngineWorker(Worker):
    """Keeps the engine's slots full while frames are there, so that packing overlaps computing."""

    def __init__(self, engine: Engine, **wiring):
        super().__init__("engine", **wiring)
        self._engine = engine

    def work(self) -> None:
        assert self._inlet is not None
        inside: deque[tuple[Frame, float]] = deque()
        ended = False
        while inside or not ended:
            while not ended and len(inside) < self._engine.slots:
                frame = self._inlet.get(wait=not inside)
                if frame is None:
                    ended = not inside
                    break
                inside.append((frame, self._begin(frame)))
                self._engine.put(frame.work)
                frame.work = None
                del frame
            if inside:
                self._take(*inside.popleft())

    def _take(self, frame: Frame, began: float) -> None:
        self._frame = frame
        frame.work = self._engine.take()
        self._end(frame, began)
        self._hand_over(frame)
