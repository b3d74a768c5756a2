"""The tile engine on whatever board pynq finds, as an engine of the pipeline."""

from __future__ import annotations

from collections import deque

import numpy as np
from pynq import Overlay

from host.accelerator import AcceleratorError
from host.detect.engines import EngineFailure
from host.interrupts import interrupt_loop, made_on_the_loop
from host.overlays import bitfile
from host.tile import Tile, TileBinary
from host.tile.binary import BinaryError
from models.program import Output

__all__ = ["TileEngine"]


class TileEngine:
    """Two frames are inside: while the engine computes one, the host packs the next.

    Its interrupt is waited for in whichever thread takes the maps.
    """

    slots = 2

    def __init__(
        self,
        binary: TileBinary,
        outputs: tuple[Output, ...],
        *,
        bitstream: str | None = None,
        timeout_s: float = 60.0,
        profile_every: int = 0,
    ):
        """`profile_every` so many frames the registers of the profile are read, which takes some time."""
        _, height, width = binary.header["input"]["tensor"]
        self.size, self.outputs = (2 * height, 2 * width), outputs
        self._timeout_s, self._profile_every = timeout_s, profile_every
        self._profile: list[dict] = []
        self._frames = 0
        self._waiting: deque[int] = deque()
        self._running: int | None = None
        self._next = 0
        self._binary = binary
        try:
            self.tile: Tile = made_on_the_loop(lambda: Overlay(bitstream or bitfile("tile")).tile)
            self.tile.load(binary, frames=self.slots)
        except BinaryError as error:
            raise EngineFailure(str(error)) from error

    @property
    def facts(self) -> dict[str, str]:
        header = self._binary.header
        return {
            "board": f"overlay {self.tile.name}, engine {header['engine']}",
            "model": f"{header['program']} ({header['fingerprint'][:12]}), "
            f"{sum(layer['cycles'] for layer in header['layers']):,} cycles a frame foreseen",
        }

    def put(self, pixels: np.ndarray) -> None:
        slot, self._next = self._next, (self._next + 1) % self.slots
        self.tile.put(pixels, slot)
        self._waiting.append(slot)
        self._start_next()

    def take(self) -> tuple[np.ndarray, ...]:
        if self._running is None:
            raise RuntimeError("no frame is inside; put() one first")
        self._running = None
        try:
            maps = interrupt_loop().run_until_complete(self.tile.finish_async(timeout_s=self._timeout_s))
        except (AcceleratorError, TimeoutError) as error:
            raise EngineFailure(str(error)) from error
        if self._profile_every and self._frames % self._profile_every == 0:
            self._profile = self.tile.profile()
        self._frames += 1
        self._start_next()
        return tuple(maps)

    def _start_next(self) -> None:
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self.tile.start(self._running)

    def profile(self) -> list[dict]:
        return self._profile

    def close(self) -> None:
        if self._running is not None:  # given up with a frame inside: its buffers are in use until then
            self.tile.soft_reset()
        self.tile.unload()
