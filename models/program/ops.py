"""The operations of an integer program: what each computes, on which shapes, within which range.

Arrays are `(channels, height, width)` or `(features,)` without the batch. Every operation derives the shape
and the exact range of its result from those of its inputs, so that widths are computed, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import ClassVar

import numpy as np

__all__ = [
    "Add",
    "ArgMax",
    "Concat",
    "Convolution",
    "Dense",
    "MaxPool",
    "MultiThreshold",
    "Op",
    "ProgramError",
    "Requantise",
    "Tensor",
    "Upsample",
    "Weighted",
    "bits_for",
    "power_of_two_terms",
]

#: A tensor of more elements than this is taken for a mistake or an attack, not for a network.
MAX_ELEMENTS = 1 << 28
#: Accumulators must fit a signed 64-bit word with one bit to spare.
MAX_ACCUMULATOR_BITS = 63


class ProgramError(ValueError):
    """A program that breaks a rule; the message names the layer, the rule and the remedy."""


def bits_for(*, minimum: int, maximum: int) -> int:
    """Bits of the narrowest integer, signed if `minimum` is negative, that holds the range."""
    if minimum < 0:
        return max(int(-minimum - 1).bit_length(), int(maximum).bit_length() if maximum > 0 else 0) + 1
    return max(int(maximum).bit_length(), 1)


def power_of_two_terms(weights: np.ndarray) -> int:
    """The most signed powers of two that any weight is a sum of: 0 (all zero), 1 (a shift), 2, ..."""
    # x ^ 3x marks the non-zero digits of the non-adjacent form, the shortest sum of signed powers of two.
    values = np.unique(np.abs(weights))
    return max((bin(int(value) ^ 3 * int(value)).count("1") for value in values), default=0)


@dataclass(frozen=True)
class Tensor:
    """A named array of integers whose every element lies in `minimum..maximum`."""

    name: str
    shape: tuple[int, ...]
    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if len(self.shape) not in (1, 3) or any(size < 1 for size in self.shape):
            raise ProgramError(
                f"tensor {self.name!r}: the shape must be (features,) or (channels, height, width), all at "
                f"least 1, not {self.shape!r}; check kernel, stride and padding of the layer that makes it"
            )
        if prod(self.shape) > MAX_ELEMENTS:
            raise ProgramError(
                f"tensor {self.name!r} has {prod(self.shape):,} elements, more than {MAX_ELEMENTS:,}; "
                "no board holds that: check the input size and the upsampling of the model"
            )
        if self.minimum > self.maximum:
            raise ProgramError(f"tensor {self.name!r}: empty range {self.minimum!r}..{self.maximum!r}")
        if self.bits > MAX_ACCUMULATOR_BITS:
            raise ProgramError(
                f"tensor {self.name!r} needs {self.bits} bits, more than {MAX_ACCUMULATOR_BITS}; "
                "use fewer bits for the weights, the bias or the activations"
            )

    @property
    def signed(self) -> bool:
        return self.minimum < 0

    @property
    def bits(self) -> int:
        return bits_for(minimum=self.minimum, maximum=self.maximum)

    @property
    def type_name(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"


def _integers(array: object, *, layer: str, field: str) -> np.ndarray:
    values = np.asarray(array)
    if values.dtype.kind not in "iu" and values.size:
        raise ProgramError(f"layer {layer!r}: {field} must be integers, not {values.dtype}")
    result = values.astype(np.int64)  # a copy, so that freezing it touches nobody else's array
    result.flags.writeable = False
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class Op:
    """What all operations have: a name for messages, the tensors read and the one tensor made."""

    name: str
    inputs: tuple[str, ...]
    output: str

    #: Fields that hold integer arrays.
    ARRAYS: ClassVar[tuple[str, ...]] = ()
    #: How many inputs are allowed: (least, most).
    ARITY: ClassVar[tuple[int, int]] = (1, 1)

    def __post_init__(self) -> None:
        for field in self.ARRAYS:
            array = _integers(getattr(self, field), layer=self.name, field=field)
            object.__setattr__(self, field, array)
        least, most = self.ARITY
        if not least <= len(self.inputs) <= most:
            raise ProgramError(f"layer {self.name!r}: {self.kind} reads {least} tensors, not {self.inputs!r}")

    @property
    def kind(self) -> str:
        return type(self).__name__

    def result(self, *inputs: Tensor) -> Tensor:
        """Shape and exact range of the output. Raises `ProgramError` where the inputs do not fit."""
        raise NotImplementedError

    def macs(self, result: Tensor) -> int:  # noqa: ARG002 - the face of all operations
        """Multiply-accumulates for one sample, given the tensor that the operation makes."""
        return 0

    def parameters(self) -> dict[str, object]:
        """Everything that decides what is computed, names of tensors and of the layer left out."""
        skipped = {"name", "inputs", "output"}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in skipped}

    def refuse(self, rule: str) -> ProgramError:
        return ProgramError(f"layer {self.name!r} ({self.kind}): {rule}")


class Weighted(Op):
    """Layers that sum products of weights and inputs, plus a bias an output channel."""

    ARRAYS = ("weights", "bias")
    weights: np.ndarray
    bias: np.ndarray

    @property
    def weight_bits(self) -> int:
        if not self.weights.size:
            return 1
        return bits_for(minimum=int(self.weights.min()), maximum=int(self.weights.max()))

    @property
    def weight_bytes(self) -> float:
        return self.weights.size * self.weight_bits / 8

    @property
    def terms(self) -> int:
        """Signed powers of two a weight is summed from at most; at most 1 means shifts, no multiplier."""
        return power_of_two_terms(self.weights)

    def channel_range(self, minimum: int, maximum: int) -> tuple[np.ndarray, np.ndarray]:
        """The exact least and greatest accumulator of each output channel, as Python integers."""
        flat = self.weights.reshape(len(self.weights), -1)
        # float64 sums are not exact beyond 2^53 and int64 may wrap: Python integers where that is near.
        size = float(np.abs(flat).astype(np.float64).sum(axis=1).max(initial=0))
        worst = size * max(abs(minimum), abs(maximum), 1) + float(np.abs(self.bias).max(initial=0))
        kind = np.int64 if worst < 2.0**62 else object
        positive = np.maximum(flat, 0).astype(kind).sum(axis=1)
        negative = np.minimum(flat, 0).astype(kind).sum(axis=1)
        bias = self.bias.astype(kind)
        return positive * minimum + negative * maximum + bias, positive * maximum + negative * minimum + bias

    def input_range(self, source: Tensor) -> tuple[int, int]:
        return source.minimum, source.maximum

    def _ranged(self, source: Tensor, shape: tuple[int, ...]) -> Tensor:
        low, high = self.channel_range(*self.input_range(source))
        return Tensor(self.output, shape, int(low.min()), int(high.max()))

    def _check_bias(self) -> None:
        if self.bias.shape != (len(self.weights),):
            raise self.refuse(f"the bias must have shape {(len(self.weights),)!r}, not {self.bias.shape!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Weighted):
    """`weights @ x + bias`. An input `(channels, height, width)` is flattened row by row first."""

    weights: np.ndarray  #: (out features, in features)
    bias: np.ndarray  #: (out features,)

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        if self.weights.ndim != 2 or prod(source.shape) != self.weights.shape[1]:
            raise self.refuse(
                f"weights of shape {self.weights.shape!r} do not fit an input of shape {source.shape!r}"
            )
        self._check_bias()
        return self._ranged(source, (self.weights.shape[0],))

    def macs(self, result: Tensor) -> int:  # noqa: ARG002
        return self.weights.size


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Weighted):
    """Two-dimensional cross-correlation, zero padded."""

    weights: np.ndarray  #: (out channels, in channels / groups, kernel height, kernel width)
    bias: np.ndarray  #: (out channels,)
    groups: int = 1
    stride: tuple[int, int] = (1, 1)  #: down, right
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  #: top, left, bottom, right

    def input_range(self, source: Tensor) -> tuple[int, int]:
        if any(self.padding):  # the padding is a zero among the inputs
            return min(source.minimum, 0), max(source.maximum, 0)
        return source.minimum, source.maximum

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        if self.weights.ndim != 4 or len(source.shape) != 3:
            raise self.refuse(
                f"needs weights (out, in, height, width) and a (channels, height, width) input, not "
                f"{self.weights.shape!r} and {source.shape!r}"
            )
        outputs, group_inputs, *kernel = self.weights.shape
        if self.groups < 1 or group_inputs * self.groups != source.shape[0] or outputs % self.groups:
            raise self.refuse(
                f"weights of shape {self.weights.shape!r} in {self.groups!r} groups do not fit "
                f"{source.shape[0]} input channels"
            )
        self._check_bias()
        size = window_positions(self, source.shape, tuple(kernel), self.stride, self.padding)
        return self._ranged(source, (outputs, *size))

    def macs(self, result: Tensor) -> int:
        return self.weights.size * prod(result.shape[1:])


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiThreshold(Op):
    """`minimum + number of thresholds t of the channel with sign * x >= t`: any monotone quantiser, exactly.

    A sign of -1 makes the channel fall; the importer turns such channels round in the layer before wherever
    that layer's weights allow it, so that hardware mostly sees +1.
    """

    ARRAYS = ("thresholds", "signs")
    thresholds: np.ndarray  #: (channels, levels), each row ascending; repeated thresholds skip a level
    signs: np.ndarray  #: (channels,) of +1 or -1
    minimum: int = 0

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        if self.thresholds.ndim != 2 or self.thresholds.shape[0] != source.shape[0]:
            raise self.refuse(
                f"thresholds of shape {self.thresholds.shape!r} do not fit {source.shape[0]} channels"
            )
        if self.signs.shape != (source.shape[0],) or not np.isin(self.signs, (-1, 1)).all():
            raise self.refuse("signs must hold +1 or -1 for each channel")
        if (np.diff(self.thresholds, axis=1) < 0).any():
            raise self.refuse("the thresholds of a channel must ascend")
        return Tensor(self.output, source.shape, self.minimum, self.minimum + self.thresholds.shape[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Requantise(Op):
    """`clip(round_half_even((x + bias) / 2**shift), minimum, maximum)`, bias and shift a channel."""

    ARRAYS = ("bias", "shift")
    bias: np.ndarray  #: (channels,)
    shift: np.ndarray  #: (channels,), 0 to 62
    minimum: int
    maximum: int

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        channels = (source.shape[0],)
        if self.bias.shape != channels or self.shift.shape != channels:
            raise self.refuse(f"bias and shift must have shape {channels!r}")
        if ((self.shift < 0) | (self.shift >= MAX_ACCUMULATOR_BITS)).any():
            raise self.refuse(f"shifts must lie in 0..62, not {self.shift.min()}..{self.shift.max()}")
        # The sum with the bias is a register of the hardware: it must fit as well.
        low, high = int(self.bias.min()), int(self.bias.max())
        Tensor(f"{self.output} (with bias)", source.shape, source.minimum + low, source.maximum + high)
        return Tensor(self.output, source.shape, self.minimum, self.maximum)


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Op):
    """The greatest of each window; padding never wins."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        if len(source.shape) != 3:
            raise self.refuse(f"needs a (channels, height, width) input, not {source.shape!r}")
        if any(pad >= size for pad, size in zip(self.padding, self.kernel * 2, strict=True)):
            raise self.refuse(f"padding {self.padding!r} must be smaller than the kernel {self.kernel!r}")
        size = window_positions(self, source.shape, self.kernel, self.stride, self.padding)
        return Tensor(self.output, (source.shape[0], *size), source.minimum, source.maximum)


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Op):
    """The element-wise sum of two tensors of one shape and one scale."""

    ARITY = (2, 2)

    def result(self, *inputs: Tensor) -> Tensor:
        first, second = inputs
        if first.shape != second.shape:
            raise self.refuse(f"both inputs must have one shape, not {first.shape!r} and {second.shape!r}")
        return Tensor(
            self.output, first.shape, first.minimum + second.minimum, first.maximum + second.maximum
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Op):
    """The inputs' channels one after another; one scale for all."""

    ARITY = (1, 1024)

    def result(self, *inputs: Tensor) -> Tensor:
        sizes = {tensor.shape[1:] for tensor in inputs}
        if len(sizes) > 1:
            raise self.refuse(f"all inputs must agree but for the channels, not {sorted(sizes)!r}")
        shape = (sum(tensor.shape[0] for tensor in inputs), *inputs[0].shape[1:])
        low, high = min(tensor.minimum for tensor in inputs), max(tensor.maximum for tensor in inputs)
        return Tensor(self.output, shape, low, high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Upsample(Op):
    """Nearest neighbour: every element repeated `factor` times down and right."""

    factor: tuple[int, int]

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        if len(source.shape) != 3 or min(self.factor) < 1:
            raise self.refuse(
                f"needs a (channels, height, width) input and factors of at least 1, not "
                f"{source.shape!r} and {self.factor!r}"
            )
        channels, height, width = source.shape
        shape = (channels, height * self.factor[0], width * self.factor[1])
        return Tensor(self.output, shape, source.minimum, source.maximum)


@dataclass(frozen=True, kw_only=True, eq=False)
class ArgMax(Op):
    """The index of the greatest element, flattened row by row; of equals, the lowest index."""

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        return Tensor(self.output, (1,), 0, prod(source.shape) - 1)


def window_positions(
    op: Op,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
) -> tuple[int, int]:
    """How many windows fit down and across."""
    if min(stride) < 1 or min(padding) < 0 or min(kernel) < 1:
        raise op.refuse(
            f"kernel {kernel!r} and stride {stride!r} must be positive, padding {padding!r} not negative"
        )
    top, left, bottom, right = padding
    height, width = shape[1] + top + bottom, shape[2] + left + right
    if height < kernel[0] or width < kernel[1]:
        raise op.refuse(f"the kernel {kernel!r} is larger than the padded input {(height, width)!r}")
    return (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1
