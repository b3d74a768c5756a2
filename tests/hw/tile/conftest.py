"""Fixtures of the tile engine's tests."""

import numpy as np
import pytest

from models.program import Output, Program, Quantiser, ops


class Net:
    """A network drawn layer by layer: each method adds one and returns the name of the map it makes."""

    def __init__(self, *shape: int):
        self.shape = shape
        self.ops: list[ops.Op] = []

    def conv(
        self, source: str, outputs: int = 8, *, kernel: int = 1, quantised: bool = True, **options
    ) -> str:
        """Padded to keep its size; `options` are those of its quantiser."""
        name, pad = f"conv{len(self.ops)}", kernel // 2
        weights = np.ones((outputs, self.shape_of(source)[0], kernel, kernel), int)
        self.ops.append(
            ops.Convolution(
                name=name, inputs=(source,), output=name, weights=weights, bias=np.zeros(outputs, int),
                padding=(pad, pad, pad, pad),
            )
        )  # fmt: skip
        return self.quant(name, **options) if quantised else name

    def quant(self, source: str, *, bias=0, shift=6, minimum: int = 0, maximum: int = 255) -> str:
        name, channels = f"quant{len(self.ops)}", self.shape_of(source)[0]
        self.ops.append(
            ops.Requantise(
                name=name, inputs=(source,), output=name, bias=np.resize(bias, channels),
                shift=np.resize(shift, channels), minimum=minimum, maximum=maximum,
            )
        )  # fmt: skip
        return name

    def add(self, first: str, second: str) -> str:
        return self._append(ops.Add, "add", first, second)

    def concat(self, *sources: str) -> str:
        return self._append(ops.Concat, "concat", *sources)

    def up(self, source: str) -> str:
        return self._append(ops.Upsample, "up", source, factor=(2, 2))

    def program(self, *outputs: str) -> Program:
        return self._program(*(Output(tensor=name, shape=self.shape_of(name)) for name in outputs))

    def shape_of(self, name: str) -> tuple[int, ...]:
        return self._program(Output(tensor="image", shape=self.shape)).tensors[name].shape

    def _append(self, kind: type[ops.Op], name: str, *sources: str, **options) -> str:
        name = f"{name}{len(self.ops)}"
        self.ops.append(kind(name=name, inputs=sources, output=name, **options))
        return name

    def _program(self, *outputs: Output) -> Program:
        return Program(
            name="net", input="image", input_shape=self.shape, quantiser=Quantiser(signed=False),
            ops=tuple(self.ops), outputs=outputs,
        )  # fmt: skip


@pytest.fixture
def net():
    """Begins a network on maps of this shape."""
    return Net


@pytest.fixture
def depthwise_digits():
    """Digits of `count` a weight of a layer whose outputs see their own channel, lying in lane `shift` on."""

    def make(*, count=1, channels=8, planes=1, kernel=(3, 3), shift=0, seed=0):
        rng = np.random.default_rng(seed)
        digits = np.zeros((count, channels, 8 * planes, *kernel), np.int64)
        for o in range(channels):
            digits[:, o, o + shift] = rng.choice([1, -1, 2, -2, 4, -4], (count, *kernel))
        return digits

    return make
