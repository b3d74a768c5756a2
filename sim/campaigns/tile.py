"""Campaigns over the `tile` overlay on the simulated board: random layers and networks, bit for bit."""

from __future__ import annotations

from functools import cache

import numpy as np
from pynq import Overlay

from host.tile import Tile, TileBinary
from hw.overlay.package import OverlayPackage, package
from hw.overlay.tile import TileOverlay
from hw.tile.compile import Compiled, compile_program
from hw.tile.preset import Preset
from models.program import Program, run
from sim.board import MemoryModel, SimulatedBoard, simulated_board
from sim.campaigns.tile_programs import random_layer, random_network

__all__ = ["BUDGET_CYCLES", "TileBench"]

#: After so many cycles without an end a job hangs; the largest frame takes 20 million.
BUDGET_CYCLES = 50_000_000


@cache
def _packaged(preset: str | Preset) -> OverlayPackage:
    """Once a process: the larger presets take a minute."""
    return package(TileOverlay(preset=preset))


class TileBench:
    """The overlay on a board; a context manager."""

    def __init__(self, *, preset: str | Preset = "sim", dram_bytes: int = 64 << 20):
        self.preset = preset
        self._session = simulated_board(_packaged(preset), budget_cycles=BUDGET_CYCLES, dram_bytes=dram_bytes)

    def __enter__(self) -> TileBench:
        self.board: SimulatedBoard = self._session.__enter__()
        self.engine: Tile = Overlay(self.board.bitfile).tile
        return self

    def __exit__(self, *failure) -> None:
        self.engine.unload()
        self._session.__exit__(*failure)

    def load(self, compiled: Compiled) -> None:
        self.engine.load(TileBinary.parse(compiled.binary))

    def mismatches(self, program: Program, sample: np.ndarray) -> int:
        """Elements of the outputs that differ from the integer program's."""
        self.load(compile_program(program, self.preset))
        found = self.engine.run(sample)
        expected = run(program, sample[None])
        return sum(int(np.count_nonzero(a != b[0])) for a, b in zip(found, expected, strict=True))

    def check_seed(self, seed: int, *, network: bool = False) -> tuple[Program, int]:
        """A random layer, or network, with random memory timing."""
        rng = np.random.default_rng(seed)
        program = (random_network if network else random_layer)(rng)
        self.board.memory = MemoryModel(
            latency=int(rng.integers(0, 64)),
            stalls=float(rng.choice([0.0, 0.3])),
            seed=int(rng.integers(1 << 30)),
        )
        source = program.tensors[program.input]
        sample = rng.integers(source.minimum, source.maximum + 1, program.input_shape)
        return program, self.mismatches(program, sample)
