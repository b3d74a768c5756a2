"""What the stages cost on this machine: one after the other in one thread, so that none waits for another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np

from host.detect.decoding import Decoder, suppressed
from host.detect.drawing import draw
from host.detect.engines import Engine
from host.detect.frames import Captured
from host.detect.preparing import sorted_planes
from host.tile.binary import TileBinary
from models.detector.boxes import letterbox

__all__ = ["HOST_STAGES", "packing_times", "stage_times"]

#: The stages that a board's processor has; capture waits for a camera there, and record for whoever takes.
HOST_STAGES = ("letterbox", "quantise", "decode", "suppress", "draw")


def stage_times(
    frames: Iterable[Captured],
    engine: Engine,
    *,
    classes: tuple[str, ...],
    least_score: float = 0.3,
    report: Callable[[], None] = lambda: None,
) -> dict[str, np.ndarray]:
    """Milliseconds of every frame by stage."""
    decoder = Decoder(engine.outputs, least_score=least_score)
    spent: dict[str, list[float]] = {stage: [] for stage in (*HOST_STAGES[:2], "engine", *HOST_STAGES[2:])}

    def timed(stage, function, *arguments):
        began = time.perf_counter()
        result = function(*arguments)
        spent[stage].append(1000 * (time.perf_counter() - began))
        return result

    def compute(pixels):
        engine.put(pixels)
        return engine.take()

    for one in frames:
        canvas, placement = timed("letterbox", letterbox, one.pixels, engine.size)
        pixels = timed("quantise", sorted_planes, canvas)
        maps = timed("engine", compute, pixels)
        found = timed("decode", decoder.candidates, maps)
        seen = timed("suppress", suppressed, found, placement, one.pixels.shape[:2])
        timed("draw", draw, one.pixels, seen, classes)
        report()
    return {stage: np.array(values) for stage, values in spent.items()}


def packing_times(binary: TileBinary, *, count: int) -> dict[str, np.ndarray]:
    """Milliseconds for packing pixels for the engine and unpacking its maps; no board is needed."""
    arena = np.zeros(binary.arena_bytes, np.uint8)
    random = np.random.default_rng(0)
    spent: dict[str, list[float]] = {"pack": [], "unpack": []}
    for _ in range(count):
        pixels = random.integers(0, 256, binary.header["input"]["tensor"], np.uint8)
        moments = [time.perf_counter()]
        binary.write_input(arena, pixels)
        moments.append(time.perf_counter())
        binary.read_outputs(arena)
        moments.append(time.perf_counter())
        for stage, seconds in zip(spent, np.diff(moments), strict=True):
            spent[stage].append(1000 * float(seconds))
    return {stage: np.array(values) for stage, values in spent.items()}
