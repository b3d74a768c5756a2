"""Campaigns over the `tile` overlay on the simulated board: random layers and networks, bit for bit."""

from __future__ import annotations

import numpy as np
from pynq import Overlay

from host.tile import Tile, TileBinary
from hw.overlay.tile import TileOverlay
from hw.tile.compile import compile_program
from models.program import Output, Program, Quantiser, ops, run
from models.program.ops import Op
from sim.board import MemoryModel, SimulatedBoard, simulated_board

__all__ = ["TileBench", "random_layer", "random_network"]


class TileBench:
    """The overlay on a board; a context manager."""

    def __init__(self, *, preset: str = "sim", dram_bytes: int = 64 << 20):
        self.preset = preset
        self._session = simulated_board(
            TileOverlay(preset=preset), budget_cycles=50_000_000, dram_bytes=dram_bytes
        )

    def __enter__(self) -> TileBench:
        self.board: SimulatedBoard = self._session.__enter__()
        self.engine: Tile = Overlay(self.board.bitfile).tile
        return self

    def __exit__(self, *failure) -> None:
        self.engine.unload()
        self._session.__exit__(*failure)

    def mismatches(self, program: Program, sample: np.ndarray) -> int:
        """Elements of the outputs that differ from the integer program's."""
        compiled = compile_program(program, self.preset)
        self.engine.load(TileBinary.parse(compiled.binary))
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


class _Drawing:
    """Appends random operations that are legal."""

    def __init__(self, rng: np.random.Generator, *, size: int = 24, channels: int = 40):
        self.rng = rng
        self.ops: list[Op] = []
        signed = bool(rng.integers(2))
        self.quantiser = Quantiser(bits=8, signed=signed)
        self.shape = (int(rng.integers(1, channels)), int(rng.integers(1, size)), int(rng.integers(1, size)))
        self.shapes = {"image": self.shape}

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.ops)}"

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        rng = self.rng
        values = (1 << rng.integers(0, 7, shape)) * rng.choice([-1, 0, 1], shape)
        if rng.random() < 0.25:  # two terms
            values = values + (1 << rng.integers(0, 6, shape)) * rng.choice([-1, 0, 1], shape)
        return np.clip(values, -127, 127)

    def conv(
        self, source: str, *, outputs: int | None = None, kernel=None, stride=None, quantise: bool = True
    ) -> str:
        rng, (channels, height, width) = self.rng, self.shapes[source]
        pads = _four(rng.integers(0, 3, 4))
        if kernel is None:
            kernel = (
                int(rng.integers(1, min(5, height + pads[0] + pads[2]) + 1)),
                int(rng.integers(1, min(5, width + pads[1] + pads[3]) + 1)),
            )
        stride = stride or tuple(int(s) for s in rng.choice([1, 1, 2, 3], 2))
        groups = 1
        if rng.random() < 0.3:
            groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        outputs = outputs or int(rng.integers(1, 40))
        outputs = -(-outputs // groups) * groups
        name = self._name("conv")
        self.ops.append(
            ops.Convolution(
                name=name, inputs=(source,), output=name,
                weights=self.weights((outputs, channels // groups, *kernel)),
                bias=rng.integers(-5000, 5000, outputs), groups=groups, stride=stride, padding=pads,
            )
        )  # fmt: skip
        down = (height + pads[0] + pads[2] - kernel[0]) // stride[0] + 1
        right = (width + pads[1] + pads[3] - kernel[1]) // stride[1] + 1
        self.shapes[name] = (outputs, down, right)
        return self.requantise(name) if quantise else name

    def requantise(self, source: str, *, most: int = 14) -> str:
        rng, shape = self.rng, self.shapes[source]
        name = self._name("quant")
        signed = bool(rng.integers(2))
        self.ops.append(
            ops.Requantise(
                name=name, inputs=(source,), output=name, bias=rng.integers(-1000, 1000, shape[0]),
                shift=rng.integers(0, most, shape[0]),
                minimum=-128 if signed else 0, maximum=127 if signed else 255,
            )
        )  # fmt: skip
        self.shapes[name] = shape
        return name

    def pool(self, source: str) -> str:
        rng, (channels, height, width) = self.rng, self.shapes[source]
        kernel = (int(rng.integers(1, min(4, height) + 1)), int(rng.integers(1, min(4, width) + 1)))
        pads = _four([int(rng.integers(0, size)) for size in kernel * 2])
        stride = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        name = self._name("pool")
        self.ops.append(
            ops.MaxPool(name=name, inputs=(source,), output=name, kernel=kernel, stride=stride, padding=pads)
        )
        self.shapes[name] = (
            channels,
            (height + pads[0] + pads[2] - kernel[0]) // stride[0] + 1,
            (width + pads[1] + pads[3] - kernel[1]) // stride[1] + 1,
        )
        return name

    def join(self, kind: str, first: str, second: str) -> str:
        name = self._name(kind)
        self.ops.append(
            (ops.Add if kind == "add" else ops.Concat)(name=name, inputs=(first, second), output=name)
        )
        a, b = self.shapes[first], self.shapes[second]
        self.shapes[name] = a if kind == "add" else (a[0] + b[0], *a[1:])
        return self.requantise(name, most=3) if kind == "add" else name

    def up(self, source: str) -> str:
        name = self._name("up")
        self.ops.append(ops.Upsample(name=name, inputs=(source,), output=name, factor=(2, 2)))
        channels, height, width = self.shapes[source]
        self.shapes[name] = (channels, 2 * height, 2 * width)
        return name

    def program(self, *outputs: str) -> Program:
        return Program(
            name="random", input="image", input_shape=self.shape, quantiser=self.quantiser,
            ops=tuple(self.ops),
            outputs=tuple(Output(tensor=name, shape=self.shapes[name]) for name in outputs),
        )  # fmt: skip


def _four(values) -> tuple[int, int, int, int]:
    top, left, bottom, right = (int(value) for value in values)
    return top, left, bottom, right


def random_layer(rng: np.random.Generator) -> Program:
    """One operation of any kind."""
    draw = _Drawing(rng)
    kind = rng.choice(["conv", "conv", "conv", "raw", "pool"])
    if kind == "pool":
        return draw.program(draw.pool("image"))
    return draw.program(draw.conv("image", quantise=kind == "conv"))


def random_network(rng: np.random.Generator) -> Program:
    """Several layers with branches that are added or concatenated, and doubled maps."""
    draw = _Drawing(rng, size=14, channels=20)
    at = draw.conv("image")
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.choice(["conv", "pool", "add", "cat", "up"])
        channels, height, width = draw.shapes[at]
        if kind == "conv":
            at = draw.conv(at)
        elif kind == "pool":
            at = draw.pool(at)
        elif kind == "up" and height * width < 150:
            at = draw.conv(draw.up(at))
        else:
            first = _same_size(draw, at, channels if kind == "add" else None)
            if kind == "add":
                at = draw.join("add", first, at)
            else:
                at = draw.conv(draw.join("cat", first, at))
    return draw.program(draw.conv(at, quantise=bool(rng.integers(2))))


def _same_size(draw: _Drawing, source: str, outputs: int | None) -> str:
    """A 1x1 convolution that keeps the size."""
    channels, height, width = draw.shapes[source]
    outputs = outputs or int(draw.rng.integers(1, 20))
    name = draw._name("side")
    draw.ops.append(
        ops.Convolution(
            name=name, inputs=(source,), output=name, weights=draw.weights((outputs, channels, 1, 1)),
            bias=draw.rng.integers(-500, 500, outputs),
        )
    )  # fmt: skip
    draw.shapes[name] = (outputs, height, width)
    return draw.requantise(name)
