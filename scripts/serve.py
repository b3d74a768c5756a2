"""`colonnade serve`: both systems at work, on one page in the browser."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from host.live.feeds import Feed
    from host.live.view import LiveView
    from scripts.serve_systems import CanSystem, DetectorSystem

__all__ = ["command"]

DONE, USAGE, BOARD = 0, 2, 3  #: exit codes
NONE = "none"
PORT = 8090
SIDE, SIMULATED_SIDE = "320", "64"

HELP = """Show CAN traffic with its alerts, and pictures with their boxes, on a page that a browser opens.

SOURCE is what `colonnade ids --source` takes, PICTURES what `colonnade detect --source` takes, and either may
be `none`. Recordings play at their own speed, over and over. Ctrl-C ends it.

Only this machine can see the page, unless --host names another address; then a token is asked for, which is
part of the address that is printed. Nothing is encrypted: across a network that others use, take `ssh -L`.

Exit codes: 0 ended as asked, 2 wrong use, input or address, 3 a board or engine.

Example: `colonnade serve --board sim --pictures generated`
"""


def command(
    source: str = typer.Option("", help="CAN frames; a generated drive of the model's car if absent."),
    model: str = typer.Option(
        "", help="CAN model of the zoo, or the path of an .onnx file; as in `colonnade ids` if absent."
    ),
    board: str = typer.Option("model", help="What judges frames: model (numpy), sim or pynq."),
    threshold: int = typer.Option(None, help="Least score of an alert; the model's own if absent."),
    bit_rate: float = typer.Option(500_000.0, min=1000.0, help="Of the bus, for its load."),
    pictures: str = typer.Option("", help="Pictures; a clip of the data folder or generated ones if absent."),
    detector: str = typer.Option("", help="A detector of the zoo, or the path of an .onnx file."),
    engine: str = typer.Option("model", help="What computes boxes: model, sim, pynq or a board's name."),
    preset: str = typer.Option(
        "", help="Engine; if absent the board's own, sim if simulated, z7020 for what the compiler foresees."
    ),
    size: str = typer.Option(
        "", help="Canvas, such as 512 or 640x384; 320 if absent, 64 in simulation, where it takes seconds."
    ),
    fps: float = typer.Option(None, min=0.1, help="Pictures a second; those of the clip, or 10, if absent."),
    repeat: bool = typer.Option(True, help="Begin again when a recording has ended."),
    host: str = typer.Option("127.0.0.1", help="Address to serve at; 0.0.0.0 is every one of this machine."),
    port: int = typer.Option(PORT, min=0, max=65535, help="0 takes any that is free."),
    rail: str = typer.Option(None, help="Power rail to show on a real board; its input if absent."),
    seconds: float = typer.Option(None, help="End after so long."),
    photograph: Path = typer.Option(
        None, help="Write a picture of the page here (.png) and end; needs Chromium."
    ),
    bench: bool = typer.Option(False, help="Only measure what 100 clients cost the pipelines."),
) -> None:
    from rich.console import Console

    from host.detect.engines import EngineFailure
    from host.detect.faces import SourceError as PictureError
    from host.ids.board import BoardFailure
    from host.ids.sources import SourceError
    from host.live.chromium import BrowserError
    from host.live.server import ServeError
    from models.detector.zoo import detector_names
    from scripts.detect_engines import size_of
    from scripts.serve_systems import CanSystem, DetectorSystem, default_pictures
    from scripts.termination import terminated_as_interrupted

    console = Console(stderr=True)
    if bench:
        from scripts.serve_bench import BenchError, measure

        try:
            raise typer.Exit(measure(console))
        except BenchError as error:
            console.print(f"{error}; nothing was kept", style="red", markup=False, soft_wrap=True)
            raise typer.Exit(1) from None
    stopping = threading.Event()
    try:
        can = detects = None
        if source != NONE:
            can = CanSystem(source, model, board, threshold, bit_rate, repeat, stopping)
        if pictures != NONE:
            pictures, name = pictures or default_pictures(os.environ), detector or detector_names()[-1]
            canvas = size_of(size or (SIMULATED_SIDE if engine == "sim" else SIDE))
            detects = DetectorSystem(pictures, name, engine, preset, canvas, fps, repeat, stopping)
        _check(can, detects)
        with terminated_as_interrupted():
            _serve(
                console, can, detects, stopping,
                host=host, port=port, rail=rail, seconds=seconds, photograph=photograph,
            )  # fmt: skip
    except (BoardFailure, EngineFailure) as error:
        raise typer.Exit(_say(console, str(error), BOARD)) from None
    except (SourceError, PictureError, ServeError, BrowserError, ValueError, OSError) as error:
        raise typer.Exit(_say(console, str(error), USAGE)) from None


command.__doc__ = HELP


def _check(can: CanSystem | None, detects: DetectorSystem | None) -> None:
    """Refuse at once what would fail late."""
    from hw.tile.preset import PRESETS

    if can is None and detects is None:
        raise ValueError("--source none and --pictures none leave nothing to show")
    if can is not None and can.board not in ("model", "sim", "pynq"):
        raise ValueError(f"--board is model, sim or pynq, not {can.board!r}")
    if detects is not None and detects.preset not in ("", *PRESETS):
        raise ValueError(f"--preset is one of {', '.join(PRESETS)}, not {detects.preset!r}")
    if can and detects and "model" not in (can.board, detects.board):
        raise ValueError(
            "an FPGA holds one overlay at a time: leave --board or --engine at model, or give --source none "
            "or --pictures none"
        )


def _serve(
    console: Console,
    can: CanSystem | None,
    detects: DetectorSystem | None,
    stopping: threading.Event,
    *,
    host: str,
    port: int,
    rail: str | None,
    seconds: float | None,
    photograph: Path | None,
) -> None:
    from host.live.access import is_loopback, new_token
    from host.live.feeds import Feed
    from host.live.hub import Hub
    from host.live.rails import PowerMonitor
    from host.live.server import LiveServer
    from host.live.view import LiveView

    hub, token = Hub(), None if is_loopback(host) else new_token()
    feeds: list[Feed] = []
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        # The address first: if it is taken, nobody should have waited for a simulator to be built.
        server = LiveServer(hub, host=host, port=port, token=token)
        stack.callback(server.close)
        view = LiveView(hub, power=PowerMonitor(rail=rail))
        systems = {name: system for name, system in {"CAN bus": can, "camera": detects}.items() if system}
        feeds += [Feed(name, system.run, ended=view.note) for name, system in systems.items()]
        stack.callback(_stop, feeds, stopping)
        for feed in feeds:
            _prepare(console, feed.name, systems[feed.name].board)
            feed.start()
        if can is not None:
            view.show_can(can.monitor, can.facts)
        if detects is not None:
            view.show_detector(detects.monitor, detects.facts)
        stack.enter_context(view)
        stack.enter_context(server)
        _introduce(console, server.url, token)
        if photograph is not None:
            from host.live.chromium import photograph as take

            console.print(f"picture: {take(server.url, photograph)}", soft_wrap=True)
            return
        _wait(view, seconds)
    stuck = [feed.name for feed in feeds if feed.running]
    if stuck:
        console.print(f"{' and '.join(stuck)}: a computation that would take long is given up", style="dim")
        os._exit(DONE)  # its thread holds the simulator, and nothing is in files
    console.print(f"stopped; {hub.dropped:,} updates were replaced by newer ones for slow readers")


def _stop(feeds: list[Feed], stopping: threading.Event) -> None:
    stopping.set()
    for feed in feeds:
        feed.join(10.0)


def _prepare(console: Console, name: str, board: str) -> None:
    if board == "sim":
        said = f"{name}: compiling the simulator of the gateware, for a minute or so if it is the first time"
        console.print(said, style="dim", highlight=False, soft_wrap=True)


def _introduce(console: Console, url: str, token: str | None) -> None:
    address = f"{url}?token={token}" if token else url
    console.print(f"open {address}", highlight=False, markup=False, soft_wrap=True)
    if token:
        console.print(
            "whoever has this address sees the page; it is printed this once, and good until Ctrl-C",
            style="dim",
        )
    console.print("Ctrl-C ends it", style="dim")


def _wait(view: LiveView, seconds: float | None) -> None:
    """Until the time that was given, or a failure of the page itself."""
    ends = time.monotonic() + seconds if seconds is not None else float("inf")
    while not view.failed and time.monotonic() < ends:
        time.sleep(0.1)


def _say(console: Console, message: str, code: int) -> int:
    console.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return code
