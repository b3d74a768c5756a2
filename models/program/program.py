"""A whole network in integers: the quantiser at its entrance, the operations, the scales at its exits."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from models.program.ops import Op, ProgramError, Tensor

__all__ = ["Output", "Program", "Quantiser", "integer_logits"]


@dataclass(frozen=True, kw_only=True)
class Quantiser:
    """Real numbers to integers as QONNX `Quant` defines it; the integers have the zero point taken off."""

    scale: float = 1.0
    zero: int = 0
    bits: int = 8
    signed: bool = True
    narrow: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 32:
            raise ProgramError(f"a quantiser has 1 to 32 bits, not {self.bits!r}")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise ProgramError(f"the scale of a quantiser must be positive and finite, not {self.scale!r}")

    @property
    def minimum(self) -> int:
        low = -(1 << self.bits - 1) + self.narrow if self.signed else 0
        return low - self.zero

    @property
    def maximum(self) -> int:
        high = (1 << self.bits - 1) - 1 if self.signed else (1 << self.bits) - 1 - self.narrow
        return high - self.zero

    def quantise(self, values: np.ndarray) -> np.ndarray:
        """float32 arithmetic in the order of the QONNX executor: divide, shift, clamp, round half to even."""
        shifted = np.asarray(values, np.float32) / np.float32(self.scale) + np.float32(self.zero)
        clamped = np.clip(shifted, self.minimum + self.zero, self.maximum + self.zero)
        return np.round(clamped).astype(np.int64) - self.zero

    def dequantise(self, integers: np.ndarray) -> np.ndarray:
        return np.asarray(integers).astype(np.float64) * self.scale


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """A tensor that leaves the program, and what its integers mean: `value = integer * scale + offset`."""

    tensor: str
    shape: tuple[int, ...]  #: as the model gives it, without the batch
    scale: np.ndarray = field(default_factory=lambda: np.ones(()))  #: scalar, or one a channel
    offset: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def _along_channels(self, values: np.ndarray, rank: int) -> np.ndarray:
        return values if values.ndim == 0 else values.reshape(-1, *(1,) * (rank - 1))

    def dequantise(self, integers: np.ndarray) -> np.ndarray:
        rank = integers.ndim - 1
        return integers * self._along_channels(self.scale, rank) + self._along_channels(self.offset, rank)


def integer_logits(output: Output, values: np.ndarray) -> np.ndarray:
    """The integers behind real outputs, as torch or the QONNX executor give them.

    Compare these and not the floats: scales that are no powers of two leave noise in the last place, which
    breaks ties between equal logits at random.
    """
    rank = values.ndim - 1
    offset, scale = output._along_channels(output.offset, rank), output._along_channels(output.scale, rank)
    return np.round((values.astype(np.float64) - offset) / scale).astype(np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """Operations in an order in which they can run. A program that exists is checked."""

    name: str
    input: str  #: name of the tensor that the input quantiser makes
    input_shape: tuple[int, ...]
    quantiser: Quantiser
    ops: tuple[Op, ...]
    outputs: tuple[Output, ...]
    #: What a user should know: where the float model itself is not exact, for instance.
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.check()

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name, with shape, range and so width; the input first, then in order of `ops`."""
        source = Tensor(self.input, self.input_shape, self.quantiser.minimum, self.quantiser.maximum)
        tensors = {self.input: source}
        for op in self.ops:
            missing = [name for name in op.inputs if name not in tensors]
            if missing:
                raise op.refuse(f"reads {missing[0]!r}, which nothing makes before it; order the operations")
            if op.output in tensors:
                raise op.refuse(f"makes {op.output!r}, which exists already; each tensor is made once")
            tensors[op.output] = op.result(*(tensors[name] for name in op.inputs))
        return tensors

    def check(self) -> None:
        """Shapes fit, ranges are exact, accumulators hold their worst case. Raises `ProgramError`."""
        if not self.outputs:
            raise ProgramError(f"program {self.name!r} has no output")
        for output in self.outputs:
            if output.tensor not in self.tensors:
                raise ProgramError(f"program {self.name!r}: nothing makes the output {output.tensor!r}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is computed: the same for the same arithmetic, whatever layers are called."""
        numbers = {name: index for index, name in enumerate(self.tensors)}
        lines: list[object] = [list(self.input_shape), vars(self.quantiser)]
        for op in self.ops:
            lines.append([op.kind, [numbers[name] for name in op.inputs], _plain(op.parameters())])
        for output in self.outputs:
            scales = [output.scale.tolist(), output.offset.tolist()]
            lines.append([numbers[output.tensor], list(output.shape), *scales])
        return hashlib.sha256(json.dumps(lines, sort_keys=True).encode()).hexdigest()

    def inputs_of(self, op: Op) -> tuple[Tensor, ...]:
        return tuple(self.tensors[name] for name in op.inputs)

    def readers_of(self, tensor: str) -> tuple[Op, ...]:
        return tuple(op for op in self.ops if tensor in op.inputs)


def _plain(parameters: dict[str, object]) -> dict[str, object]:
    """Arrays as shape and hash of their little-endian bytes, so that large weights hash quickly."""

    def plain(value: object) -> object:
        if isinstance(value, np.ndarray):
            return [list(value.shape), hashlib.sha256(value.astype("<i8").tobytes()).hexdigest()]
        return list(value) if isinstance(value, tuple) else value

    return {name: plain(value) for name, value in parameters.items()}
