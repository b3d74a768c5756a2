"""A detector on the simulated engine: every element of every map, and what each layer of a frame costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from time import process_time

import numpy as np

from hw.tile.compile import compile_program
from hw.tile.layers import Layer
from hw.tile.lower import lower
from hw.tile.preset import Preset
from models.program import Program, ops, run
from sim.board import MemoryModel
from sim.campaigns.tile import TileBench
from sim.campaigns.tile_stack import MEMORY

__all__ = ["DetectorRun", "LayerUse", "run_detector"]


@dataclass(frozen=True, kw_only=True)
class LayerUse:
    """A layer by the engine's own counters, of the last picture."""

    name: str
    kind: str  #: dense, depthwise, add, pool or requantise
    macs: int
    products: int  #: of a digit and an activation: a lane makes one a cycle
    cycles: int
    foreseen: int  #: cycles, by the compiler
    busy: int  #: cycles in which the array had operands
    wait_load: int
    wait_store: int
    wait_drain: int
    read_bytes: int
    write_bytes: int

    def use(self, lanes: int) -> float:
        """Share of the lanes' cycles that made a product that the layer needs."""
        return self.products / lanes / max(self.cycles, 1)


@dataclass(frozen=True, kw_only=True)
class DetectorRun:
    """Pictures through one preset."""

    preset: Preset
    pictures: int
    elements: int  #: of all maps of all pictures
    mismatches: int  #: of these, differing from the integer program's
    layers: tuple[LayerUse, ...]
    build: str  #: how the simulator came about
    simulated_cycles: int
    cpu_seconds: float

    @property
    def cycles(self) -> int:
        """Of a frame, from START to the end of the last layer."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def memory_bytes(self) -> int:
        """Features, weights and results that a frame moves, each way."""
        return sum(layer.read_bytes + layer.write_bytes for layer in self.layers)

    @property
    def model_error_max(self) -> float:
        """Of the layer whose cycles the compiler foresees worst."""
        return max(abs(layer.foreseen / layer.cycles - 1) for layer in self.layers)

    def frames_per_second(self, clock_mhz: float) -> float:
        return clock_mhz * 1e6 / self.cycles

    def lane_use(self, kind: str = "") -> float:
        """Of all layers, or of those of one kind."""
        chosen = [layer for layer in self.layers if kind in ("", layer.kind)]
        cycles = sum(layer.cycles for layer in chosen)
        return sum(layer.products for layer in chosen) / self.preset.lanes / max(cycles, 1)

    def lanes_working(self, kind: str) -> float:
        """Of layers of one kind, the share of the lanes that make a needed product while the array works."""
        chosen = [layer for layer in self.layers if kind == layer.kind]
        busy = sum(layer.busy for layer in chosen)
        return sum(layer.products for layer in chosen) / self.preset.lanes / max(busy, 1)

    def share(self, kind: str) -> float:
        """Of the cycles of a frame."""
        return sum(layer.cycles for layer in self.layers if layer.kind == kind) / self.cycles


def run_detector(
    program: Program, preset: str | Preset, pictures: Iterable[np.ndarray], *, memory: MemoryModel = MEMORY
) -> DetectorRun:
    """Run `pictures`, integers of the program's input shape, and compare all outputs with the golden's."""
    compiled = compile_program(program, preset)
    count = elements = mismatches = 0
    with TileBench(preset=preset, dram_bytes=3 * compiled.arena_bytes + (16 << 20)) as bench:
        bench.board.memory = memory
        bench.load(compiled)
        before, seconds = bench.board.cycles, 0.0
        for picture in pictures:
            spent = process_time()
            found = bench.engine.run(picture, timeout_s=24 * 3600)
            seconds += process_time() - spent
            for a, b in zip(found, run(program, picture[None]), strict=True):
                elements += a.size
                mismatches += int(np.count_nonzero(a != b[0]))
            count += 1
        return DetectorRun(
            preset=compiled.preset,
            pictures=count,
            elements=elements,
            mismatches=mismatches,
            layers=_layers(program, compiled.preset, bench.engine.profile()),
            build=bench.board.builds["tile"],
            simulated_cycles=bench.board.cycles - before,
            cpu_seconds=seconds,
        )


def _layers(program: Program, preset: Preset, profile: list[dict]) -> tuple[LayerUse, ...]:
    layers = lower(program, preset).layers
    return tuple(_used(layer, preset, row) for layer, row in zip(layers, profile, strict=True))


def _used(layer: Layer, preset: Preset, row: dict) -> LayerUse:
    return LayerUse(
        name=row["name"],
        kind=_kind(layer.op),
        macs=row["macs"],
        products=row["macs"] * layer.digit_count,
        foreseen=row["predicted"],
        read_bytes=row["read_beats"] * preset.channels,
        write_bytes=row["write_beats"] * preset.channels,
        **{name: row[name] for name in ("cycles", "busy", "wait_load", "wait_store", "wait_drain")},
    )


def _kind(op: ops.Op) -> str:
    if isinstance(op, ops.Convolution) and op.groups > 1:
        return "depthwise"
    names = {ops.Add: "add", ops.MaxPool: "pool", ops.Requantise: "requantise"}
    return names.get(type(op), "dense")
