"""Our engine on the layer that is compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hw.tile.compile import compile_program
from sim.campaigns.tile import TileBench
from sim.campaigns.tile_stack import MEMORY
from sim.peers.layer import PeerLayer

__all__ = ["Ran", "run_layer"]


@dataclass(frozen=True, kw_only=True)
class Ran:
    lanes: int
    cycles: int  #: from the host's first access to the driver's return
    mismatches: int


def run_layer(layer: PeerLayer, engine: str) -> Ran:
    """One frame on the simulated board, the driver's register accesses included."""
    compiled = compile_program(layer.program, engine)
    with TileBench(preset=engine) as bench:
        bench.board.memory = MEMORY
        bench.load(compiled)
        bench.engine.put(layer.sample)
        before = bench.board.cycles
        bench.engine.start()
        (found,) = bench.engine.finish(timeout_s=600)
        cycles = bench.board.cycles - before
    wrong = int(np.count_nonzero(found != layer.expected()))
    return Ran(lanes=compiled.preset.lanes, cycles=cycles, mismatches=wrong)
