"""What computes a network's maps, behind one face: the integer program here, the tile engine elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from models.detector.cost import resized
from models.detector.zoo import Detector
from models.program import Output, Program, run

__all__ = ["ComparedEngine", "Engine", "EngineFailure", "ModelEngine"]


class EngineFailure(RuntimeError):
    """The engine cannot go on; the message says why and what to do."""


class Engine(Protocol):
    """Frames go in by `put` and come out by `take`, in the same order; `slots` of them at most are inside."""

    size: tuple[int, int]  #: of the canvas, (height, width)
    outputs: tuple[Output, ...]  #: what the integers of the maps mean
    slots: int

    @property
    def facts(self) -> dict[str, str]:
        """What it is, for the user to read."""

    def put(self, pixels: np.ndarray) -> None:
        """(12, height / 2, width / 2) bytes, as `boxes.sorted_pixels` has them."""

    def take(self) -> tuple[np.ndarray, ...]:
        """The integers of each map of the oldest frame that was put. It fails rather than wait for ever."""

    def profile(self) -> list[dict]:
        """By layer, of a recent frame: name, macs, cycles foreseen and measured, beats; may be empty.

        Any thread may ask.
        """

    def close(self) -> None: ...


class ModelEngine:
    """The integer program by compiled kernels: no board, bit for bit what the engine computes."""

    def __init__(self, detector: Detector, size: tuple[int, int], *, threads: int = 1):
        program = resized(detector.program, size)
        self.size, self.outputs, self.slots = size, program.outputs, 1
        self._run, self._kernels = _kernels(program, threads)
        self._name, self._waiting = detector.name, deque[np.ndarray]()

    @property
    def facts(self) -> dict[str, str]:
        where = f"none: the integer program on this processor, by {self._kernels}"
        return {"board": where, "model": self._name}

    def put(self, pixels: np.ndarray) -> None:
        self._waiting.append(pixels)

    def take(self) -> tuple[np.ndarray, ...]:
        return tuple(one[0] for one in self._run(self._waiting.popleft()[None]))

    def profile(self) -> list[dict]:
        return []

    def close(self) -> None:
        self._waiting.clear()


def _kernels(program: Program, threads: int) -> tuple[Callable[[np.ndarray], Sequence[np.ndarray]], str]:
    """Compiled kernels, or numpy on boards that have no onnxruntime: slower, and the same integers."""
    from models.detector.executor import FastProgram

    try:
        return FastProgram(program, threads=threads), "onnxruntime"
    except ImportError:
        return lambda pixels: run(program, pixels.astype(np.int64)), "numpy"


class ComparedEngine:
    """One engine checked by another on the same frames, integer by integer; its maps are the first one's."""

    def __init__(self, engine: Engine, golden: Engine):
        if engine.size != golden.size:
            raise ValueError(f"engines of sizes {engine.size!r} and {golden.size!r} cannot be compared")
        self._engine, self._golden = engine, golden
        self.size, self.outputs, self.slots = engine.size, engine.outputs, engine.slots
        self.frames = self.compared = self.different = 0

    @property
    def facts(self) -> dict[str, str]:
        return self._engine.facts | {"compared with": self._golden.facts["board"]}

    def put(self, pixels: np.ndarray) -> None:
        self._engine.put(pixels)
        self._golden.put(pixels)

    def take(self) -> tuple[np.ndarray, ...]:
        maps = self._engine.take()
        for found, expected in zip(maps, self._golden.take(), strict=True):
            self.compared += expected.size
            self.different += int(np.count_nonzero(found != expected))
        self.frames += 1
        return maps

    def profile(self) -> list[dict]:
        return self._engine.profile()

    def close(self) -> None:
        self._engine.close()
        self._golden.close()
