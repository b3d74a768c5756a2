"""What readers of the live page cost the pipelines, and how soon an alert is on the wire."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from host.detect.frames import FrameEvent
    from host.ids.records import Verdicts
    from host.live.can import CanMonitor
    from host.live.detector import DetectorMonitor
    from models.can_ids.zoo import CanModel

__all__ = ["BenchError", "measure"]

CLIENTS, ROUNDS, ROUND_S = 100, 15, 2.0
ALERTS = 40
SIZE = (320, 320)


class BenchError(Exception):
    """A round that says nothing of what clients cost."""


def measure(console: Console) -> int:
    """Both pipelines at full speed, in turns of a few seconds without and with the clients; then alerts."""
    from host.live.can import CanMonitor
    from host.live.detector import DetectorMonitor
    from host.live.hub import Hub
    from host.live.server import LiveServer
    from host.live.view import LiveView
    from models.can_ids.zoo import load_model
    from scripts.figures import record

    model, hub = load_model("ours"), Hub()
    can, detector = CanMonitor(model.classes, bus_time=time.monotonic), DetectorMonitor()
    with LiveView(hub) as view, LiveServer(hub) as server:
        view.show_can(can, {})
        view.show_detector(detector, {})
        systems = {"can": _can_round(model, can), "detect": _detect_round(detector)}
        figures: dict[str, float] = {}
        for name, run in systems.items():
            without, with_clients = _turns(console, name, run, server.url)
            # Pairs beside each other in time: what else the machine does is much the same in both.
            ratios = [one / other for one, other in zip(without, with_clients, strict=True)]
            figures[f"serve.{name}_rate_without"] = median(without)
            figures[f"serve.{name}_slowdown_100_clients"] = median(ratios) - 1
        figures["serve.slowdown_100_clients"] = max(
            figures[f"serve.{name}_slowdown_100_clients"] for name in systems
        )
        alone = _page_cpu(detector)
        with _clients(server.url):
            crowded = _page_cpu(detector)
            delays = list(_alert_delays(can, server.url))
    figures |= {"serve.page_cpu": alone, "serve.page_cpu_100_clients": crowded}
    figures["serve.alert_ms_median"] = 1000 * median(delays)
    figures["serve.alert_ms_max"] = 1000 * max(delays)
    for name, value in figures.items():
        console.print(f"{name:40} {value:.5g}", highlight=False)
    console.print(f"written to {record('serve', figures)}", soft_wrap=True)
    return 0


def _page_cpu(monitor: DetectorMonitor, *, seconds: float = 15.0) -> float:
    """Share of a core that the page takes by itself: ten new pictures a second, and no pipeline."""
    from host.detect.sources import generated_source

    events = [
        _event(captured.pixels, number) for number, captured in enumerate(generated_source(count=10).frames())
    ]
    began, used = time.monotonic(), time.process_time()
    while (spent := time.monotonic() - began) < seconds:
        monitor.take(events[int(10 * spent) % len(events)])
        time.sleep(0.1)
    return (time.process_time() - used) / spent


def _turns(
    console: Console, name: str, run: Callable[[float], float], url: str
) -> tuple[list[float], list[float]]:
    """Rates of rounds without and with clients, by turns; each pair in another order."""
    run(ROUND_S)  # warm
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS):
        for crowded in (False, True) if number % 2 else (True, False):
            with _clients(url) if crowded else contextlib.nullcontext():
                rates[crowded].append(run(ROUND_S))
        console.print(
            f"{name} round {number + 1} of {ROUNDS}: {rates[False][-1]:,.1f} a second alone, "
            f"{rates[True][-1]:,.1f} with {CLIENTS} clients",
            style="dim",
        )
    return rates[False], rates[True]


@contextlib.contextmanager
def _clients(url: str) -> Iterator[None]:
    """A process of its own, as browsers are."""
    command = [sys.executable, "-m", "host.live.clients", url, str(CLIENTS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise BenchError(f"the {CLIENTS} clients did not connect to {url}")
        yield
        told, _ = process.communicate()
        if int(told) < 10_000 * CLIENTS:
            raise BenchError(
                f"{CLIENTS} clients read {told.strip()} bytes, too few for the round to count; "
                "measure again when nothing else keeps this machine busy"
            )


def _can_round(model: CanModel, monitor: CanMonitor) -> Callable[[float], float]:
    """Frames a second that the pipeline judges, as fast as it can, in batches as a live source gives them."""
    from host.ids.board import alert_rule, open_board
    from host.ids.pipeline import watch
    from host.ids.sources import FramesSource
    from models.can_ids.frames import Frames
    from models.can_ids.generator import generate

    frames = generate(seconds=20.0, seed=1, attacks=("dos", "fuzzing"))

    class Busy(FramesSource):
        live = True

        def chunks(self) -> Iterator[Frames]:
            while True:
                for start in range(0, len(self.frames), 256):
                    yield self.frames[start : start + 256]

    def run(seconds: float) -> float:
        board = open_board("model", model, alert_rule(model))
        summary = watch(Busy("busy", frames), board, [monitor], classes=model.classes, seconds=seconds)
        return summary.frames / summary.seconds

    return run


def _detect_round(monitor: DetectorMonitor) -> Callable[[float], float]:
    """Pictures a second through the whole detection pipeline."""
    from host.detect.engines import ModelEngine
    from host.detect.pipeline import Pipeline
    from host.detect.sources import generated_source
    from host.live.repeated import RepeatedPictures
    from models.detector.zoo import detector_names, load_detector

    detector = load_detector(detector_names()[-1])
    engine = ModelEngine(detector, SIZE)

    def run(seconds: float) -> float:
        source = RepeatedPictures(lambda: generated_source(count=20))
        pipeline = Pipeline(source, engine, classes=detector.classes, observers=[monitor.take])
        timer = threading.Timer(seconds, pipeline.stop)
        timer.start()
        summary = pipeline.run()
        timer.cancel()
        return summary.frames / summary.seconds

    return run


def _alert_delays(monitor: CanMonitor, url: str) -> Iterator[float]:
    """From an alert's verdict to its event at one of the clients."""
    import http.client
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", "/events")
    stream = connection.getresponse()
    alerts = _alerts_in(stream)
    known = next(alerts)
    for _ in range(ALERTS):
        began = time.monotonic()
        monitor.take(_one_alert())
        known += 1
        while next(alerts) < known:
            pass
        yield time.monotonic() - began
    stream.close()
    connection.close()


def _alerts_in(stream) -> Iterator[int]:
    for line in stream:
        if line.startswith(b'data: {"seconds"'):
            yield json.loads(line[6:])["can"]["alerts"]


def _event(pixels: np.ndarray, number: int) -> FrameEvent:
    import numpy as np

    from host.detect.frames import FrameEvent
    from models.detector.boxes import Detections

    large = np.repeat(np.repeat(pixels, 5, axis=0), 5, axis=1)  # 480 x 640, as cameras have it
    found = Detections(np.array([[50.0, 50.0, 300.0, 300.0]]), np.array([0.9]), np.array([0]))
    spans = {"capture": (0.0, 0.01), "engine": (0.01, 0.05)}
    return FrameEvent(
        index=number, name="", pixels=large, detections=found, classes=("thing",), spans=spans, dropped=0
    )


def _one_alert() -> Verdicts:
    import numpy as np

    from host.ids.records import Verdicts
    from models.can_ids.frames import Frames

    frames, one = Frames.zeros(1), np.ones(1, np.uint8)
    frames.timestamp[:] = time.monotonic()
    return Verdicts(
        frames=frames,
        verdict=one,
        alert=one > 0,
        score=one.astype(np.int32),
        cycle=one.astype(np.uint64),
        sequence=one.astype(np.uint32),
        killed=one < 1,
    )
