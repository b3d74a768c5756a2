"""The two systems of the live page, each as something that a thread can run until it is told to stop."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.detect.faces import Source as PictureSource
    from host.detect.frames import FrameEvent
    from host.ids.sources import Source
    from host.live.can import CanMonitor
    from host.live.detector import DetectorMonitor
    from models.can_ids.zoo import CanModel
    from models.detector.zoo import Detector
    from scripts.detect_engines import OpenedEngine

__all__ = ["CanSystem", "DetectorSystem", "default_pictures"]

#: Shown where the data folder has it.
CLIP = Path("video") / "bottle-detection.mp4"
#: The engine that the page speaks of where none is at work.
FORESEEN = "z7020"
#: A real engine's profile is read every so many frames.
PROFILE_EVERY = 30


@dataclass
class CanSystem:
    """A bus, a board that judges its frames, and what the page says of them."""

    source: str  #: as `colonnade ids` takes them; empty: a generated drive of the model's car
    model: str
    board: str  #: model, sim or pynq
    threshold: int | None
    bit_rate: float
    repeat: bool
    stopping: threading.Event
    monitor: CanMonitor = field(init=False)
    facts: dict[str, str] = field(default_factory=dict, init=False)

    def run(self, ready: Callable[[], None]) -> str:
        from host.ids.board import BoardFailure, alert_rule
        from host.ids.pipeline import watch
        from host.live.can import CanMonitor
        from host.live.feeds import StopSink
        from scripts.ids import default_model, model_named, open_board_for

        model = model_named(self.model or default_model(self.source))
        rule = alert_rule(model, threshold=self.threshold)
        with contextlib.ExitStack() as stack:
            source, bus_time = self._opened(model)
            stack.callback(source.close)
            try:
                board = stack.enter_context(open_board_for(self.board, model, rule))
            except (RuntimeError, OSError, ImportError) as error:
                raise BoardFailure(f"board {self.board}: {error}") from error
            self.monitor = CanMonitor(
                model.classes,
                bit_rate=self.bit_rate,
                bus_time=bus_time,
                dropped=lambda: source.dropped,
                ask=board.counters,
                clock_hz=board.clock_hz,
            )
            self.facts = {"CAN source": source.name, "CAN model trained on": model.trained_on} | {
                f"CAN {name}": fact for name, fact in board.facts.items()
            }
            ready()
            summary = watch(source, board, [StopSink(self.stopping), self.monitor], classes=model.classes)
        return "" if summary.interrupted else summary.broken or f"{source.name} has ended"

    def _opened(self, model: CanModel) -> tuple[Source, Callable[[], float] | None]:
        """The source at the speed of its bus, and the clock of its time stamps where there is one."""
        import time

        from host.ids.sources import PinsSource, open_source
        from host.live.paced import PacedSource

        if self.source:
            source = open_source(self.source)
        else:
            from host.demos.ids import drive

            source = drive(model)
        if isinstance(source, PinsSource):
            return source, None
        if source.live:
            return source, time.time
        paced = PacedSource(source, repeat=self.repeat)
        return paced, paced.bus_time


@dataclass
class DetectorSystem:
    """Pictures, an engine, and what the page says of them."""

    pictures: str  #: as `colonnade detect` takes them
    model: str
    board: str  #: model, sim, pynq or the name of a board
    preset: str  #: empty: the board's own
    size: tuple[int, int]
    fps: float | None
    repeat: bool
    stopping: threading.Event
    monitor: DetectorMonitor = field(init=False)
    facts: dict[str, str] = field(default_factory=dict, init=False)

    def run(self, ready: Callable[[], None]) -> str:
        from host.detect.pipeline import Pipeline, Settings
        from host.live.detector import DetectorMonitor
        from models.detector.zoo import load_detector

        detector = load_detector(self.model)
        with contextlib.ExitStack() as stack:
            source = self._opened()
            stack.callback(source.close)
            opened = self._engine(stack, detector)
            watching = _Watching(opened)
            self.monitor = DetectorMonitor(progress=watching.progress)
            rate = self.fps or source.rate or 10.0
            pipeline = Pipeline(
                source,
                opened.engine,
                classes=detector.classes,
                settings=Settings(policy="drop-oldest", pause_s=0.0 if source.live else 1 / rate),
                observers=[
                    self.monitor.take,
                    self._watcher(opened.engine.profile, opened.preset),
                    watching.next_picture,
                ],
            )
            self.facts = {"pictures": source.name, "canvas": f"{self.size[1]}x{self.size[0]}"} | {
                f"detector {name}": fact for name, fact in opened.engine.facts.items()
            }
            stack.enter_context(_stopped_by(self.stopping, pipeline.stop))
            ready()
            if not opened.preset:
                self._foresee(detector)
            summary = pipeline.run()
        return "" if self.stopping.is_set() else summary.broken or f"{source.name} has ended"

    def _engine(self, stack: contextlib.ExitStack, detector: Detector) -> OpenedEngine:
        from host.detect.engines import EngineFailure
        from scripts.detect_engines import open_engine

        try:
            return stack.enter_context(
                open_engine(self.board, detector, self.size, preset=self.preset, profile_every=PROFILE_EVERY)
            )
        except (RuntimeError, ImportError) as error:
            raise EngineFailure(f"engine {self.board}: {error}") from error

    def _opened(self) -> PictureSource:
        from host.detect.sources import open_source
        from host.live.repeated import RepeatedPictures

        first = open_source(self.pictures)
        if first.live or not self.repeat:
            return first
        first.close()
        return RepeatedPictures(lambda: open_source(self.pictures))

    def _watcher(
        self, profile: Callable[[], list[dict[str, Any]]], preset: str
    ) -> Callable[[FrameEvent], None]:
        """Shows the layers as an engine has counted them, whenever it has counted anew."""
        shown: list[dict[str, Any]] = []

        def watch(_: FrameEvent) -> None:
            nonlocal shown
            rows = profile()
            if rows and rows is not shown:
                shown = rows
                self._show(rows, preset, f"Counted by the engine ({preset}) itself.")

        return watch

    def _foresee(self, detector: Detector) -> None:
        """Without an engine: what the compiler foresees for one, found out beside the first pictures."""

        def compiled() -> None:
            from host.tile import TileBinary
            from hw.tile.compile import compile_program
            from models.detector.cost import resized

            program, preset = resized(detector.program, self.size), self.preset or FORESEEN
            layers = TileBinary.parse(compile_program(program, preset).binary).header["layers"]
            foreseen = f"Foreseen by the compiler for the engine {preset}; nothing here runs on it."
            self._show(layers, preset, foreseen)

        threading.Thread(target=compiled, name="compiler", daemon=True).start()

    def _show(self, rows: list[dict[str, Any]], preset: str, origin: str) -> None:
        from host.live.detector import layer_rows
        from hw.tile.preset import PRESETS

        engine = PRESETS[preset]
        shown = layer_rows(rows, lanes=engine.lanes, beat_bytes=engine.bus_bits // 8)
        self.monitor.show_layers(shown, origin)


class _Watching:
    """How far a simulated engine is with a picture, which takes seconds to minutes there."""

    def __init__(self, opened: OpenedEngine):
        self._simulation, self._foreseen = opened.simulation, opened.foreseen_cycles
        self._began = self._seen

    @property
    def _seen(self) -> int:
        return self._simulation.cycles_seen if self._simulation else 0

    def next_picture(self, _: FrameEvent) -> None:
        self._began = self._seen

    def progress(self) -> str:
        if self._simulation is None:
            return ""
        return (
            f"The simulated engine has spent {self._seen - self._began:,} of about {self._foreseen:,} cycles "
            "on the next picture."
        )


@contextlib.contextmanager
def _stopped_by(stopping: threading.Event, stop: Callable[[], None]):
    """Call `stop` once `stopping` is set, while the body runs."""
    over = threading.Event()

    def wait() -> None:
        while not over.is_set():
            if stopping.wait(0.1):
                stop()
                return

    waiter = threading.Thread(target=wait, name="stopper", daemon=True)
    waiter.start()
    try:
        yield
    finally:
        over.set()
        waiter.join()


def default_pictures(environment: Mapping[str, str]) -> str:
    """A clip of the data folder where it is, generated scenes elsewhere."""
    from models.can_ids.captures import DATA_VARIABLE, data_folder

    try:
        clip = data_folder(environment.get(DATA_VARIABLE)) / CLIP
    except FileNotFoundError:
        return "generated"
    return str(clip) if clip.is_file() else "generated"
