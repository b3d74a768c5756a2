"""Random programs that the tile engine's smallest preset takes: every operation, odd sizes, branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from models.program import Output, Program, Quantiser, ops
from models.program.ops import Op

__all__ = ["Choices", "random_layer", "random_network"]

#: Words of the weight memory of `sim` less the biases: taps, blocks of 8 channels and digits multiply to it.
WEIGHT_WORDS = 511
LANES = 8
DIGITS_MOST = 4


class Choices(Protocol):
    """What of numpy's Generator is used, so that a property test can choose and shrink in its place."""

    def integers(self, low: int, high: int | None = None, size: Any = None) -> Any: ...
    def choice(self, values: Any, size: Any = None) -> Any: ...
    def random(self) -> float: ...


class _Drawing:
    """Appends random operations that are legal."""

    def __init__(self, rng: Choices, *, shape: tuple[int, ...]):
        self.rng = rng
        self.ops: list[Op] = []
        self.quantiser = Quantiser(bits=8, signed=bool(rng.integers(2)))
        self.shape = shape
        self.shapes: dict[str, tuple[int, ...]] = {"image": shape}

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.ops)}"

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        """Sums of one to four digits."""
        total = np.zeros(shape, np.int64)
        for _ in range(int(self.rng.choice([1, 1, 2, 2, 3, DIGITS_MOST]))):
            total = 4 * total + self.rng.choice([0, 1, -1, 2, -2, 4, -4], shape)
        return total

    def conv(
        self, source: str, *, outputs: int | None = None, kernel=None, stride=None, quantise: bool = True
    ) -> str:
        rng, (channels, height, width) = self.rng, self.shapes[source]
        pads = _four(rng.integers(0, 3, 4))
        if kernel is None:
            kernel = self._kernel(channels, height + pads[0] + pads[2], width + pads[1] + pads[3])
        stride = stride or (self._stride(), self._stride())
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

    def depthwise(self, source: str, *, quantise: bool = True) -> str:
        """A convolution of each channel alone; mostly of those that the engine takes by windows."""
        rng, (channels, height, width) = self.rng, self.shapes[source]
        kernel = (3, 3) if rng.random() < 0.7 else (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        stride = int(rng.choice([1, 2]))
        pads = _four(rng.integers(0, 3, 4))
        pads = (pads[0], pads[1], max(pads[2], kernel[0] - height), max(pads[3], kernel[1] - width))
        name = self._name("depthwise")
        self.ops.append(
            ops.Convolution(
                name=name, inputs=(source,), output=name, weights=self.weights((channels, 1, *kernel)),
                bias=rng.integers(-5000, 5000, channels), groups=channels, stride=(stride, stride),
                padding=pads,
            )
        )  # fmt: skip
        down = (height + pads[0] + pads[2] - kernel[0]) // stride + 1
        right = (width + pads[1] + pads[3] - kernel[1]) // stride + 1
        self.shapes[name] = (channels, down, right)
        return self.requantise(name) if quantise else name

    def narrow(self, source: str, *, quantise: bool = True) -> str:
        """A convolution over few channels: the engine folds its taps into the lanes that they leave free."""
        height, width = (min(7, side) for side in self.shapes[source][1:])
        kernel = (int(self.rng.integers(1, height + 1)), int(self.rng.integers(min(2, width), width + 1)))
        return self.conv(source, kernel=kernel, quantise=quantise)

    def twins(self, source: str) -> tuple[str, str]:
        """Two convolutions of one map, alike but for their channels."""
        first = self.conv(source, quantise=False)
        both, (channels, height, width) = self.ops.pop(), self.shapes[first]
        assert isinstance(both, ops.Convolution)
        cut = int(self.rng.integers(1, channels)) if channels > 1 else 0
        cut = cut // LANES * LANES or cut
        if both.groups > 1 or cut == 0:
            self.ops.append(both)
            made = self.requantise(first)
            return made, made
        quantised = []
        for suffix, part in (("a", slice(cut)), ("b", slice(cut, channels))):
            name = both.name + suffix
            self.ops.append(
                replace(both, name=name, output=name, weights=both.weights[part], bias=both.bias[part])
            )
            self.shapes[name] = (len(both.bias[part]), height, width)
            quantised.append(self.requantise(name, signed=False))
        return quantised[0], quantised[1]

    def _kernel(self, channels: int, height: int, width: int) -> tuple[int, int]:
        most = WEIGHT_WORDS // (DIGITS_MOST * -(-channels // LANES))
        size = int(self.rng.choice([1, 3, 5, 5, 7]))
        down = int(self.rng.integers(1, min(size, height, most) + 1))
        return down, int(self.rng.integers(1, min(size, width, most // down) + 1))

    def _stride(self) -> int:
        return int(self.rng.choice([1, 1, 2, 3]))

    def dense(self, source: str, *, quantise: bool) -> str:
        features = int(np.prod(self.shapes[source]))
        outputs, name = int(self.rng.integers(1, 40)), self._name("dense")
        weights, bias = self.weights((outputs, features)), self.rng.integers(-5000, 5000, outputs)
        self.ops.append(ops.Dense(name=name, inputs=(source,), output=name, weights=weights, bias=bias))
        self.shapes[name] = (outputs,)
        return self.requantise(name) if quantise else name

    def requantise(
        self, source: str, *, most: int = 14, alike: bool = False, signed: bool | None = None
    ) -> str:
        """With `alike`, one bias and shift for all channels."""
        rng, shape = self.rng, self.shapes[source]
        name = self._name("quant")
        signed = bool(rng.integers(2)) if signed is None else signed
        count = 1 if alike else shape[0]
        reach = 100 if alike else 1000
        bias, shift = rng.integers(-reach, reach, count), rng.integers(0, most, count)
        self.ops.append(
            ops.Requantise(
                name=name, inputs=(source,), output=name, bias=np.resize(bias, shape[0]),
                shift=np.resize(shift, shape[0]),
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

    def add(self, first: str, second: str) -> str:
        name = self._name("add")
        self.ops.append(ops.Add(name=name, inputs=(first, second), output=name))
        self.shapes[name] = self.shapes[first]
        alike = self.rng.random() < 0.7
        return self.requantise(name, most=2 if alike else 3, alike=alike)

    def concat(self, *sources: str) -> str:
        name = self._name("cat")
        self.ops.append(ops.Concat(name=name, inputs=sources, output=name))
        channels = sum(self.shapes[source][0] for source in sources)
        self.shapes[name] = (channels, *self.shapes[sources[0]][1:])
        return name

    def up(self, source: str) -> str:
        name = self._name("up")
        self.ops.append(ops.Upsample(name=name, inputs=(source,), output=name, factor=(2, 2)))
        channels, height, width = self.shapes[source]
        self.shapes[name] = (channels, 2 * height, 2 * width)
        return name

    def same_size(self, source: str, outputs: int | None) -> str:
        """A 1x1 convolution that keeps the size."""
        channels, height, width = self.shapes[source]
        outputs, name = outputs or int(self.rng.integers(1, 20)), self._name("side")
        self.ops.append(
            ops.Convolution(
                name=name, inputs=(source,), output=name, weights=self.weights((outputs, channels, 1, 1)),
                bias=self.rng.integers(-500, 500, outputs),
            )
        )  # fmt: skip
        self.shapes[name] = (outputs, height, width)
        return self.requantise(name)

    def program(self, *outputs: str) -> Program:
        return Program(
            name="random", input="image", input_shape=self.shape, quantiser=self.quantiser,
            ops=tuple(self.ops),
            outputs=tuple(Output(tensor=name, shape=self.shapes[name]) for name in outputs),
        )  # fmt: skip


def _four(values: Sequence[Any]) -> tuple[int, int, int, int]:
    top, left, bottom, right = (int(value) for value in values)
    return top, left, bottom, right


def _map_shape(rng: Choices, *, channels: int, side: int) -> tuple[int, int, int]:
    """Mostly small; sometimes so wide that it is cut into strips."""
    if rng.random() < 0.2:
        return int(rng.integers(1, 20)), int(rng.integers(1, 6)), int(rng.integers(60, 200))
    return int(rng.integers(1, channels)), int(rng.integers(1, side)), int(rng.integers(1, 2 * side))


def _narrow_shape(rng: Choices, *, side: int) -> tuple[int, int, int]:
    _, height, width = _map_shape(rng, channels=2, side=side)
    return int(rng.integers(1, LANES + 1)), height, width


def random_layer(rng: Choices) -> Program:
    """One operation of any kind."""
    kind = rng.choice(["conv"] * 3 + ["narrow"] * 2 + ["depthwise"] * 2 + ["raw", "pool", "dense", "quant"])
    if kind == "dense":
        flat = rng.random() < 0.5
        shape = (
            (int(rng.integers(1, 200)),)
            if flat
            else (int(rng.integers(1, 20)), int(rng.integers(1, 6)), int(rng.integers(1, 6)))
        )
        draw = _Drawing(rng, shape=shape)
        return draw.program(draw.dense("image", quantise=bool(rng.integers(2))))
    if kind == "narrow":
        draw = _Drawing(rng, shape=_narrow_shape(rng, side=24))
        return draw.program(draw.narrow("image", quantise=rng.random() < 0.8))
    draw = _Drawing(rng, shape=_map_shape(rng, channels=40, side=24))
    if kind == "pool":
        return draw.program(draw.pool("image"))
    if kind == "quant":
        return draw.program(draw.requantise("image", most=4))
    if kind == "depthwise":
        return draw.program(draw.depthwise("image", quantise=rng.random() < 0.8))
    return draw.program(draw.conv("image", quantise=kind == "conv"))


def random_network(rng: Choices) -> Program:
    """Several layers with branches that are added or concatenated, doubled maps, and one or two outputs."""
    if rng.random() < 0.5:
        draw = _Drawing(rng, shape=_narrow_shape(rng, side=14))
        at = draw.narrow("image")
    else:
        draw = _Drawing(rng, shape=_map_shape(rng, channels=20, side=14))
        at = draw.conv("image")
    outputs = []
    for _ in range(int(rng.integers(1, 5))):
        kind = rng.choice(["conv", "depthwise", "pool", "add", "cat", "twins", "up"])
        channels, height, width = draw.shapes[at]
        if kind == "pool":
            at = draw.pool(at)
        elif kind == "up" and height * width < 150:
            at = _conv_or_depthwise(draw, draw.up(at))
        elif kind == "add":
            at = draw.add(draw.same_size(at, channels), at)
        elif kind == "cat":
            at = _conv_or_depthwise(draw, draw.concat(draw.same_size(at, rng.choice([None, 8])), at))
        elif kind == "depthwise":
            at = draw.depthwise(at)
        elif kind == "twins":
            first, second = draw.twins(at)
            outputs += [second] if rng.random() < 0.3 else []
            at = _conv_or_depthwise(draw, draw.concat(first, second) if first != second else first)
        else:
            at = draw.conv(at)
        if rng.random() < 0.2:
            outputs.append(at)
    outputs.append(draw.conv(at, quantise=bool(rng.integers(2))))
    return draw.program(*outputs)


def _conv_or_depthwise(draw: _Drawing, source: str) -> str:
    return draw.depthwise(source) if draw.rng.random() < 0.5 else draw.conv(source)
