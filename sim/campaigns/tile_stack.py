"""How much of the engine's peak a detector-like stack uses, counted in cycles on the simulated board."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from host.tile import TileBinary
from hw.tile.compile import Compiled, compile_program
from hw.tile.preset import Preset
from models.program import Output, Program, Quantiser, ops, run
from sim.board import MemoryModel
from sim.campaigns.tile import TileBench

__all__ = ["STACK", "StackResult", "compulsory_bytes", "measure_stack", "stack"]

#: Kernel, stride and output channels of regular layers on 512x512 pixels that the host has folded into
#: 12 channels of 256x256: 1.4 G multiply-accumulates.
STACK = (
    (3, 1, 16), (3, 2, 64), (1, 1, 64), (3, 2, 128), (1, 1, 64), (3, 1, 128), (3, 2, 256), (1, 1, 128),
    (3, 2, 256), (1, 1, 256),
)  # fmt: skip
#: What the acceptance asks of the memory: 40 cycles, a bus beat a cycle.
MEMORY = MemoryModel(latency=40)


@dataclass(frozen=True)
class StackResult:
    lane_use: float
    model_error_max: float
    traffic_ratio: float
    mismatches: int
    cycles: int
    macs: int
    profile: list[dict]
    compiled: Compiled


def stack(*, size: int = 256, layers=STACK, seed: int = 0) -> Program:
    """The stack with random shift weights and shifts that keep the activations spread."""
    rng = np.random.default_rng(seed)
    channels, height, at = 12, size, "image"
    made: list[ops.Op] = []
    for index, (kernel, stride, outputs) in enumerate(layers):
        shape = (outputs, channels, kernel, kernel)
        weights = (1 << rng.integers(0, 3, shape)) * rng.choice([-1, 1], shape)
        pad = kernel // 2
        made.append(
            ops.Convolution(
                name=f"conv{index}", inputs=(at,), output=f"sum{index}", weights=weights,
                bias=rng.integers(-2000, 2000, outputs), stride=(stride, stride),
                padding=(pad, pad, pad, pad),
            )
        )  # fmt: skip
        shift = np.full(outputs, int(np.log2(2 * np.sqrt(channels * kernel**2))))
        made.append(
            ops.Requantise(
                name=f"quant{index}", inputs=(f"sum{index}",), output=f"map{index}",
                bias=np.zeros(outputs, np.int64), shift=shift, minimum=0, maximum=255,
            )
        )  # fmt: skip
        at, channels, height = f"map{index}", outputs, -(-height // stride)
    output = Output(tensor=at, shape=(channels, height, height))
    return Program(
        name="stack", input="image", input_shape=(12, size, size), quantiser=Quantiser(signed=False),
        ops=tuple(made), outputs=(output,),
    )  # fmt: skip


def compulsory_bytes(compiled: Compiled) -> int:
    """Weights once, and every layer's map once in and once out."""
    return sum(cost.compulsory_bytes for cost in compiled.costs)


def measure_stack(preset: str | Preset, program: Program) -> StackResult:
    """Run it once and compare the cycles of each layer with the compiler's."""
    sample = np.random.default_rng(1).integers(0, 256, program.input_shape)
    compiled = compile_program(program, preset)
    with TileBench(preset=preset) as bench:
        bench.board.memory = MEMORY
        bench.engine.load(TileBinary.parse(compiled.binary))
        found = bench.engine.run(sample, timeout_s=600)
        profile = bench.engine.profile()
    expected = run(program, sample[None])
    wrong = sum(int(np.count_nonzero(a != b[0])) for a, b in zip(found, expected, strict=True))
    cycles = sum(row["cycles"] for row in profile)
    macs = sum(row["macs"] for row in profile)
    errors = [abs(row["predicted"] / row["cycles"] - 1) for row in profile]
    total = sum(row["read_beats"] + row["write_beats"] for row in profile) * compiled.preset.channels
    return StackResult(
        lane_use=macs / cycles / compiled.preset.lanes,
        model_error_max=max(errors),
        traffic_ratio=(total + len(compiled.code)) / compulsory_bytes(compiled),
        mismatches=wrong,
        cycles=cycles,
        macs=macs,
        profile=profile,
        compiled=compiled,
    )
