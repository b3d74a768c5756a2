"""What a program costs an engine: multiplications, lane-cycles, weight bits and map bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod

from models.program import Program, ops
from models.program.digits import DIGIT_BITS, digits_needed

__all__ = ["LANES", "Cost", "LayerCost", "cost_of", "resized"]

#: The simple engine of the count: input channels by output channels a cycle, one tap of the kernel each;
#: where each channel has a filter of its own, taps instead of input channels.
LANES = (16, 16)


@dataclass(frozen=True)
class LayerCost:
    name: str
    macs: int
    weights: int
    digits: int
    passes: int  #: lane-cycles with weights of one digit
    window_words: int  #: read in as many cycles while a layer of filters for single channels moves on

    @property
    def lane_cycles(self) -> int:
        return max(self.passes * self.digits, self.window_words)

    @property
    def weight_bits(self) -> int:
        return self.weights * DIGIT_BITS * self.digits

    def with_digits(self, digits: int) -> LayerCost:
        return replace(self, digits=digits)


@dataclass(frozen=True)
class Cost:
    """Of one picture."""

    layers: tuple[LayerCost, ...]
    largest_map_bytes: int  #: the largest tensor that a layer reads or writes, in whole bytes an element
    largest_sum_bits: int

    @property
    def macs(self) -> int:
        return sum(one.macs for one in self.layers)

    @property
    def lane_cycles(self) -> int:
        return sum(one.lane_cycles for one in self.layers)

    @property
    def weight_bits(self) -> int:
        return sum(one.weight_bits for one in self.layers)


def cost_of(program: Program) -> Cost:
    """Lanes are idle where a layer has fewer channels than the engine lanes, or a kernel fewer taps."""
    layers, sums = [], set()
    for op in program.ops:
        if isinstance(op, ops.Convolution):
            result = program.tensors[op.output]
            layers.append(_layer(op, op.macs(result), prod(result.shape[1:])))
            sums.add(op.output)
    maps = [one for name, one in program.tensors.items() if name not in sums]
    return Cost(
        tuple(layers),
        max(prod(one.shape) * ceil(one.bits / 8) for one in maps),
        max(program.tensors[name].bits for name in sums),
    )


def _layer(op: ops.Convolution, macs: int, positions: int) -> LayerCost:
    outputs, inputs, *kernel = op.weights.shape
    blocks, taps, window = ceil(outputs / LANES[1]), prod(kernel), 0
    if op.groups == 1:
        passes = taps * ceil(inputs / LANES[0])
    elif inputs == 1:
        passes, window = ceil(taps / LANES[0]), kernel[0] * op.stride[1]
    else:  # each output channel reads its own inputs: only the diagonal of the lanes works
        passes = taps * inputs
    digits = digits_needed(op.weights)
    return LayerCost(
        op.name, macs, op.weights.size, digits, positions * blocks * passes, positions * blocks * window
    )


def resized(program: Program, size: tuple[int, int]) -> Program:
    """The same detector for canvases of (height, width): weights do not depend on it."""
    if any(side % 32 or side < 32 for side in size):
        raise ValueError(f"the sides of the input must be multiples of 32, not {size!r}")
    shape = (program.input_shape[0], size[0] // 2, size[1] // 2)
    if shape == tuple(program.input_shape):
        return program
    other = replace(program, input_shape=shape)
    outputs = tuple(replace(one, shape=other.tensors[one.tensor].shape) for one in program.outputs)
    return replace(other, outputs=outputs)
