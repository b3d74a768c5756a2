"""Driver of the `tile` overlay: networks compiled for it, frame after frame, with a profile of each layer."""

from __future__ import annotations

import numpy as np

from host.accelerator import Accelerator, AcceleratorError
from host.tile.binary import TileBinary

__all__ = ["EVENTS", "Tile"]

#: Registers of the profile, in the order of the gateware.
EVENTS = ("cycles", "busy", "wait_load", "wait_store", "wait_drain", "read_beats", "write_beats")
WATCHDOG_CYCLES = 1_000_000


class Tile(Accelerator):
    """Runs compiled networks.

    Example::

        engine = Overlay(bitfile("tile")).tile
        engine.load(TileBinary.read("detector.tile"))
        outputs = engine.run(frame)

    Two arenas are held, so that the host packs a frame while the engine works on another: `put` a frame,
    `start` it, `put` the next, `finish` the first.
    """

    bindto = ["colonnade:overlay:tile:1.0"]

    def __init__(self, description):
        super().__init__(description)
        self._parameters = description.get("parameters", {})
        self._binary: TileBinary | None = None
        self._arenas: list = []
        self._code = None
        self._running: int | None = None
        self._failed = False

    def load(self, binary: TileBinary, *, frames: int = 2) -> None:
        """Place a network in memory; `frames` is how many may be held at once."""
        from pynq import allocate

        binary.check_target(self._parameters.get("ENGINE", "?"), self._parameters["TARGET_HASH"])
        self.unload()
        self._binary = binary
        self._code = allocate(len(binary.code), np.uint8)
        self._code[:] = np.frombuffer(binary.code, np.uint8)
        self._code.flush()
        for _ in range(frames):
            arena = allocate(binary.arena_bytes, np.uint8)
            arena[: len(binary.weights)] = np.frombuffer(binary.weights, np.uint8)
            arena.flush()
            self._arenas.append(arena)
        self.write_word("WATCHDOG_LIMIT", WATCHDOG_CYCLES)

    def unload(self) -> None:
        for buffer in (*self._arenas, *([self._code] if self._code is not None else [])):
            buffer.freebuffer()
        self._arenas, self._code, self._binary, self._running = [], None, None, None

    def run(self, sample: np.ndarray, *, timeout_s: float = 60.0) -> list[np.ndarray]:
        """One sample of integers in, the program's outputs out."""
        self.put(sample)
        self.start()
        return self.finish(timeout_s=timeout_s)

    def put(self, sample: np.ndarray, frame: int = 0) -> None:
        binary, arena = self._loaded(frame)
        binary.write_input(np.asarray(arena), sample)
        arena.flush()

    def start(self, frame: int = 0) -> None:
        """Begin; `finish` or `finish_async` must follow."""
        _, arena = self._loaded(frame)
        if self._running is not None:
            raise RuntimeError(f"{self.name}: frame {self._running} is under way; finish() it first")
        if self._failed:
            self.soft_reset()
            self._failed = False
        self.write_address("CODE", self._code.device_address)
        self.write_word("CODE_LENGTH", self._code.nbytes)
        self.write_address("ARENA", arena.device_address)
        self.write_word("ARENA_LENGTH", arena.nbytes)
        self._running = frame
        self.write_word("CONTROL", 1)

    def finish(self, *, timeout_s: float = 60.0) -> list[np.ndarray]:
        """Await the frame that was started, and read its outputs."""
        try:
            self.wait(timeout_s)
        except (AcceleratorError, TimeoutError):
            self._failed, self._running = True, None
            raise
        return self._results()

    async def finish_async(self, *, timeout_s: float = 60.0) -> list[np.ndarray]:
        try:
            await self.wait_async(timeout_s)
        except (AcceleratorError, TimeoutError):
            self._failed, self._running = True, None
            raise
        return self._results()

    def profile(self) -> list[dict]:
        """What each layer of the last frame cost, with what the compiler foresaw."""
        binary, _ = self._loaded(0)
        rows = []
        for index, layer in enumerate(binary.header["layers"][:256]):
            self.write_word("PROFILE_ENTRY", index)
            measured = dict.fromkeys(EVENTS, 0)
            if layer["beats"]:  # else nobody reads a row of it, and none was made
                measured = {event: self.read_word(f"PROFILE_{event.upper()}") for event in EVENTS}
            rows.append(
                {"name": layer["name"], "macs": layer["macs"], "predicted": layer["cycles"], **measured}
            )
        return rows

    def _loaded(self, frame: int):
        if self._binary is None:
            raise RuntimeError(f"{self.name}: no network is loaded; load() one first")
        if not 0 <= frame < len(self._arenas):
            raise ValueError(f"{self.name}: frame must be 0 to {len(self._arenas) - 1}, not {frame!r}")
        return self._binary, self._arenas[frame]

    def _results(self) -> list[np.ndarray]:
        frame, self._running = self._running, None
        binary, arena = self._loaded(frame or 0)
        arena.invalidate()
        return binary.read_outputs(np.asarray(arena))
