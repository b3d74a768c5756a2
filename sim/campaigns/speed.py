"""How fast the same overlay is simulated in both ways that we have: cycles per CPU second."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass

import numpy as np
from pynq import Overlay, allocate

import host.copy  # noqa: F401  binds the driver
from hw.overlay.copy import CopyOverlay
from sim.board import simulated_board

__all__ = ["Speed", "board_speed", "cocotb_speed"]


@dataclass(frozen=True, kw_only=True)
class Speed:
    cycles: int
    cpu_seconds: float

    @property
    def cycles_per_s(self) -> float:
        return self.cycles / self.cpu_seconds


def board_speed(*, nbytes: int = 4 << 20, repeats: int = 3) -> Speed:
    """The driver's own copy() on the simulated board, polling included; the best of a few runs."""
    with simulated_board(CopyOverlay()) as board:
        copier = Overlay(board.bitfile).copy
        source, destination = allocate(nbytes, np.uint8), allocate(nbytes, np.uint8)
        source[:] = np.random.default_rng(0).integers(0, 256, nbytes, np.uint8)

        def run() -> Speed:
            cycles, seconds = board.cycles, time.process_time()
            copier.copy(source, destination, timeout_s=120)
            return Speed(cycles=board.cycles - cycles, cpu_seconds=time.process_time() - seconds)

        best = max((run() for _ in range(repeats)), key=lambda speed: speed.cycles_per_s)
        if not np.array_equal(source, destination):
            raise RuntimeError("the copy that was timed is wrong, so its speed means nothing")
        return best


def cocotb_speed(*, nbytes: int = 1 << 16) -> Speed:
    """A copy under cocotb and Verilator, between the bus models of cocotbext-axi."""
    from sim.benches.copy_overlay import BENCHES, SPEED

    folder = BENCHES[0].run(copies=1, timed_bytes=nbytes)
    try:
        return Speed(**json.loads((folder / SPEED).read_text()))
    finally:
        shutil.rmtree(folder)
