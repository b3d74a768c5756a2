"""What the importer knows of an ONNX tensor: a constant, the raw input, or scaled integers on their way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.program.graph import Node

__all__ = ["Constant", "RawInput", "Signal", "Step", "Value", "int_levels", "power_of_two"]


@dataclass(frozen=True)
class Constant:
    """An array; after a `Quant` also the integers and the scale (broadcast to its shape) behind it."""

    value: np.ndarray
    integers: np.ndarray | None = None
    scale: np.ndarray | None = None


@dataclass(frozen=True)
class RawInput:
    """The graph's input before its quantiser."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One float32 function of a channel that no quantiser has absorbed yet, as the executor computes it."""

    kind: str  #: "multiply", "divide", "add", "affine" (multiply, then add) or "relu"
    factor: np.ndarray  #: float32, (channels,) or ()
    offset: np.ndarray

    @classmethod
    def of(cls, kind: str, *, factor: object = 1.0, offset: object = 0.0) -> Step:
        return cls(kind, np.asarray(factor, np.float32), np.asarray(offset, np.float32))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """`values` has the channels along its first axis."""
        factor, offset = (_down(part, values.ndim) for part in (self.factor, self.offset))
        if self.kind == "relu":
            return np.maximum(values, np.float32(0))
        if self.kind == "divide":
            return values / factor
        if self.kind == "multiply":
            return values * factor
        return values + offset if self.kind == "add" else values * factor + offset

    def slope(self) -> np.ndarray:
        """In float64, for everything that needs the real function and not its rounding."""
        factor = self.factor.astype(np.float64)
        return 1 / factor if self.kind == "divide" else factor

    @property
    def exact(self) -> bool:
        """Whether float32 computes it without rounding whatever the order and fusing of operations."""
        return self.kind == "relu" or (
            self.kind != "affine" and power_of_two(self.factor) and not self.offset.any()
        )


def _down(part: np.ndarray, rank: int) -> np.ndarray:
    return part if part.ndim == 0 else part.reshape(-1, *(1,) * (rank - 1))


@dataclass(frozen=True)
class Signal:
    """Integers of a program tensor; `scale * integers`, put through `steps`, is the model's value."""

    tensor: str
    shape: tuple[int, ...]  #: as the model sees it, without the batch; the program may have it unflattened
    scale: np.ndarray  #: float64, () or (channels,), positive
    steps: tuple[Step, ...] = ()

    def then(self, step: Step) -> Signal:
        return replace(self, steps=(*self.steps, step))

    def affine(self) -> tuple[np.ndarray, np.ndarray] | None:
        """`value = slope * integer + offset` in float64, or None where a rectifier is between."""
        slope, offset = self.scale.astype(np.float64), np.zeros(())
        for step in self.steps:
            if step.kind == "relu":
                return None
            slope = slope * step.slope()
            offset = offset * step.slope() + step.offset
        return slope, offset


Value = Constant | RawInput | Signal


def power_of_two(values: np.ndarray) -> bool:
    """Whether every value is a positive power of two, so that scaling by it never rounds."""
    mantissas, _ = np.frexp(np.asarray(values, np.float64))
    return bool((mantissas == 0.5).all())


_ROUNDINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "DOWN": np.fix,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + np.float32(0.5)),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - np.float32(0.5)),
}


@dataclass(frozen=True)
class Levels:
    """A `Quant`, `IntQuant` or `BipolarQuant` node: float32 to integers with the zero point taken off."""

    scale: np.ndarray  #: float32
    zero: int
    bits: int
    signed: bool
    narrow: bool
    bipolar: bool
    rounding: str

    @property
    def minimum(self) -> int:
        if self.bipolar:
            return -1
        return (-(1 << self.bits - 1) + self.narrow if self.signed else 0) - self.zero

    @property
    def maximum(self) -> int:
        if self.bipolar:
            return 1
        high = (1 << self.bits - 1) - 1 if self.signed else (1 << self.bits) - 1 - self.narrow
        return high - self.zero

    def apply(self, values: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """In float32 and in the executor's order: divide, shift, clamp, round."""
        shifted = values / scale + np.float32(self.zero)
        if self.bipolar:
            return np.where(shifted >= 0, 1, -1)
        clamped = np.clip(shifted, np.float32(self.minimum + self.zero), np.float32(self.maximum + self.zero))
        return _ROUNDINGS[self.rounding](clamped).astype(np.int64) - self.zero


def int_levels(node: Node, parameters: list[np.ndarray]) -> Levels:
    """The quantiser that a node describes; `parameters` are scale, zero point and bits."""
    export_again = "export the model again with an integer quantiser of 1 to 32 bits"
    scale = parameters[0].astype(np.float32)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise node.refuse("the scale must be positive and finite", remedy="train on: the scale has collapsed")
    if node.kind == "BipolarQuant":
        return Levels(scale, 0, 1, True, False, True, "ROUND")
    zero, bits = (_scalar(node, part) for part in parameters[1:3])
    if not 1 <= bits <= 32:
        raise node.refuse(f"a quantiser has 1 to 32 bits, not {bits!r}", remedy=export_again)
    signed, rounding = bool(node.integer("signed", 1)), node.text("rounding_mode", "ROUND").upper()
    narrow = bool(node.integer("narrow", 1)) and bits > 1
    if rounding not in _ROUNDINGS:
        raise node.refuse(f"rounding mode {rounding!r} is unknown", remedy=f"use one of {sorted(_ROUNDINGS)}")
    return Levels(scale, zero, bits, signed, narrow, signed and bits == 1, rounding)


def _scalar(node: Node, values: np.ndarray) -> int:
    distinct = np.unique(values)
    if len(distinct) != 1 or not np.isfinite(distinct[0]) or distinct[0] != np.round(distinct[0]):
        raise node.refuse(
            f"zero point and bits must be one integer each, not {distinct[:4].tolist()!r}",
            remedy="use one zero point and one bit width a tensor",
        )
    return int(distinct[0])
