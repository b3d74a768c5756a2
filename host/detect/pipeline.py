"""`source -> letterbox -> quantise -> engine -> decode -> suppress -> draw -> sinks`, a thread each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from host.detect.decoding import Decoder, suppressed
from host.detect.drawing import draw
from host.detect.engines import Engine
from host.detect.faces import Sink, Source
from host.detect.frames import STAGES, Frame, FrameEvent
from host.detect.preparing import sorted_planes
from host.detect.queue import FrameQueue
from host.detect.settings import POLICIES, Settings
from host.detect.summary import Progress, Statistics, Summary
from host.detect.workers import CaptureWorker, EngineWorker, FunctionWorker, Worker
from models.detector.boxes import letterbox

__all__ = ["POLICIES", "Observer", "Pipeline", "Settings", "StageStalled", "Statistics", "Summary"]

#: Called with every frame that is done, in order, in the thread of the last stage: it must not linger.
Observer = Callable[[FrameEvent], None]


class StageStalled(TimeoutError):
    """A stage has been at one frame for too long."""


class Pipeline:
    """Runs frames through all stages, in order, and tells who wants to know.

    ::

        def on_frame(event: FrameEvent) -> None: ...   # event.index, .spans, .detections, .dropped, .jpeg()

        pipeline = Pipeline(source, engine, sinks, classes=detector.classes, observers=[on_frame])
        summary = pipeline.run()

    `run` returns when the source has ended, `frames` are done, or `stop()` was called, and everything that
    was captured is in the sinks. It closes the sinks, and neither the source nor the engine, whose makers do.
    An exception in a stage, a sink or an observer stops all stages and comes out of `run` as it was raised.

    From any other thread: `stop()`, `statistics()`, `engine.profile()`, and what observers were given. An
    observer runs in the last stage's thread, so a page that serves many clients keeps the latest event there
    and leaves `event.jpeg()` to its own threads.
    """

    def __init__(
        self,
        source: Source,
        engine: Engine,
        sinks: Sequence[Sink] = (),
        *,
        classes: Sequence[str],
        settings: Settings = Settings(),
        observers: Sequence[Observer] = (),
    ):
        self.source, self.engine, self.sinks, self.classes = source, engine, tuple(sinks), tuple(classes)
        policy = settings.policy or ("drop-oldest" if source.live else "block")
        self.settings = settings.replace(policy=policy)
        self._observers = list(observers)
        self._decoder = Decoder(engine.outputs, least_score=settings.least_score)
        self._draws = any(sink.wants_picture for sink in self.sinks)
        self._failure: BaseException | None = None
        self._sink_at_work: Sink | None = None
        self._done, self._started, self._ended = 0, 0.0, 0.0
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._queues: dict[str, FrameQueue] = {}
        self._stopping = False

    def observe(self, observer: Observer) -> None:
        """Tell one more observer, from the next frame on."""
        with self._lock:
            self._observers = [*self._observers, observer]

    def stop(self) -> None:
        """Capture nothing more; what is on its way is finished."""
        self._stopping = True
        for worker in self._workers[:1]:
            assert isinstance(worker, CaptureWorker)
            worker.stopping.set()

    def statistics(self) -> Statistics:
        """Everything, percentiles included: for a few times a second."""
        return Statistics(**self._numbers())

    @property
    def progress(self) -> Progress:
        """What costs nothing to ask."""
        return Progress(self._done, self._seconds)

    @property
    def _seconds(self) -> float:
        return (self._ended or time.perf_counter()) - self._started if self._started else 0.0

    def run(self, *, frames: int | None = None) -> Summary:
        """Until the end; Ctrl-C stops as `stop` does, and a second one at once."""
        import cv2  # noqa: F401  here, or its import would count as the first frame's time

        self._assemble(frames)
        self._started = time.perf_counter()
        interrupted, notes = False, []
        try:
            for worker in self._workers:
                worker.start()
            while self._is_running():
                try:
                    self._watch()
                except KeyboardInterrupt:
                    if interrupted:
                        raise
                    interrupted = True
                    self.stop()
        except BaseException as error:
            self._fail("", error, None)
        finally:
            self._ended = time.perf_counter()
            notes = self._close_sinks()
        if self._failure is not None:
            raise self._failure
        return Summary(
            **self._numbers(),
            captured=self._workers[0].clock.figures.count,
            policy=self.settings.policy or "",
            spans={worker.stage: worker.clock.spans for worker in self._workers},
            broken=self.source.broken,
            left_out=dict(self.source.left_out),
            interrupted=interrupted,
            notes=notes,
        )

    def _assemble(self, frames: int | None) -> None:
        if self._workers:
            raise RuntimeError("a pipeline runs once; make another one")
        drops = self.settings.policy == "drop-oldest"
        # Only there is a frame still worth nothing: later ones have cost time, and order is kept by blocking.
        self._queues = {
            stage: FrameQueue(self.settings.depth, drop_oldest=drops and stage == STAGES[1])
            for stage in STAGES[1:]
        }
        functions = {
            "letterbox": self._letterbox,
            "quantise": self._quantise,
            "decode": self._decode,
            "suppress": self._suppress,
            "draw": self._draw,
            "record": self._record,
        }
        for place, stage in enumerate(STAGES):
            following = STAGES[place + 1] if place + 1 < len(STAGES) else ""
            wiring = {"outlet": self._queues.get(following), "now": self._now, "failed": self._fail}
            if stage == "capture":
                pause = self.settings.pause_s
                worker: Worker = CaptureWorker(self.source, most=frames, pause_s=pause, **wiring)
            elif stage == "engine":
                worker = EngineWorker(self.engine, inlet=self._queues[stage], **wiring)
            else:
                worker = FunctionWorker(stage, functions[stage], inlet=self._queues[stage], **wiring)
            self._workers.append(worker)
        if self._stopping:
            self.stop()

    # Stages

    def _letterbox(self, frame: Frame) -> None:
        frame.work, frame.placement = letterbox(frame.pixels, self.engine.size)

    def _quantise(self, frame: Frame) -> None:
        frame.work = sorted_planes(frame.work)

    def _decode(self, frame: Frame) -> None:
        frame.work = self._decoder.candidates(frame.work)

    def _suppress(self, frame: Frame) -> None:
        assert frame.placement is not None
        found, frame.work = frame.work, None
        frame.detections = suppressed(found, frame.placement, frame.shape, overlap=self.settings.overlap)

    def _draw(self, frame: Frame) -> None:
        if self._draws:
            assert frame.detections is not None
            frame.drawn = draw(frame.pixels, frame.detections, self.classes)

    def _record(self, frame: Frame) -> None:
        assert frame.detections is not None
        event = FrameEvent(
            index=frame.index,
            name=frame.name,
            pixels=frame.pixels,
            detections=frame.detections,
            classes=self.classes,
            spans=dict(frame.spans),
            dropped=self._queues[STAGES[1]].dropped,
            truth=frame.truth,
            picture=frame.drawn,
        )
        for sink in self.sinks:
            self._sink_at_work = sink
            sink.take(event)
        self._sink_at_work = None
        for observer in self._observers:
            observer(event)
        self._done += 1

    # Watching over them

    def _now(self) -> float:
        return time.perf_counter() - self._started

    def _is_running(self) -> bool:
        return self._failure is None and any(worker.is_alive() for worker in self._workers)

    def _watch(self) -> None:
        """Wait a little, and look whether any stage is stuck."""
        # Not join(): Ctrl-C in it makes Python 3.11 take a thread that still runs for one that has ended.
        time.sleep(0.02)
        for worker in self._workers:
            since = worker.working_since
            if since is None or worker.stage == "engine":
                continue
            spent = self._now() - since
            if spent > self.settings.patience_s:
                what = self._sink_at_work if worker.stage == "record" else None
                culprit = f"stage {worker.stage!r}" + (f" ({type(what).__name__})" if what else "")
                raise StageStalled(
                    f"{culprit} has been at one frame for {spent:.0f} s; {self._done} frames are done. "
                    "Look at what it reads or writes, or allow more time (patience_s)"
                )

    def _fail(self, stage: str, error: BaseException, frame: Frame | None) -> None:
        """Keep the first failure and end every stage."""
        with self._lock:
            if self._failure is None:
                self._failure = error
                add_note = getattr(error, "add_note", None)  # from Python 3.11 on
                if stage and add_note is not None:
                    where = f", frame {frame.index} ({frame.name})" if frame is not None else ""
                    add_note(f"in stage {stage!r} of the detection pipeline{where}")
        self.stop()
        for queue in self._queues.values():
            queue.abort()

    def _close_sinks(self) -> list[str]:
        """All of them, also when one before fails; but not one that hangs in `take`: it would hang here."""
        for worker in self._workers:
            if worker.is_alive():  # nobody may close an engine that is at work, and it has a time limit
                worker.join(None if worker.stage == "engine" else 1.0)
        stuck = self._sink_at_work if self._workers and self._workers[-1].is_alive() else None
        notes: list[str] = []
        for sink in self.sinks:
            if sink is stuck:
                continue
            try:
                notes += sink.close()
            except Exception as error:
                self._fail("record", error, None)
        return notes

    def _numbers(self) -> dict:
        return {
            "frames": self._done,
            "dropped": self._queues[STAGES[1]].dropped if self._queues else 0,
            "waiting": {stage: len(queue) for stage, queue in self._queues.items()},
            "stages": {worker.stage: worker.clock.figures for worker in self._workers},
            "seconds": self._seconds,
        }
