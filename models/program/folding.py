"""Folds scales, batch normalisation, rectifier and rounding into integer thresholds, or into a shift.

The float32 function that the QONNX executor computes is evaluated itself, and the integer at which each level
is first reached is found by bisection. Nothing is derived on paper, so ties, rounding of constants and clamps
come out as the executor has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.program.ops import MultiThreshold, Requantise
from models.program.values import Levels, Signal, power_of_two

__all__ = ["Staircase", "as_requantise", "as_thresholds", "staircase"]

#: Channels times levels of one layer: 12 bits on 256 channels, or 16 on 16.
MAX_THRESHOLDS = 1 << 20


@dataclass(frozen=True)
class Staircase:
    """A monotone quantiser of integers: where each level of each channel begins."""

    thresholds: np.ndarray  #: (channels, levels): least `sign * integer` that reaches the level
    signs: np.ndarray  #: (channels,), -1 where the function falls
    low: np.ndarray  #: (channels,) least `sign * integer` there is
    high: np.ndarray  #: (channels,)
    minimum: int
    maximum: int
    fragile: int  #: thresholds where float32 in another order of operations would give another level


def staircase(signal: Signal, levels: Levels, low: np.ndarray, high: np.ndarray) -> Staircase:
    """Where the levels of `levels(steps(scale * integer))` begin, for integers in `low..high` a channel."""
    channels = len(low)
    scale = _column(signal.scale, channels)
    level_scale = _column(levels.scale, channels, kind=np.float32)
    slope = np.ones(channels)
    for step in signal.steps:
        slope = slope * np.sign(step.slope())
    signs = np.where(slope < 0, -1, 1)

    def value(integers: np.ndarray) -> np.ndarray:
        values = (integers * signs[:, None] * scale).astype(np.float32)
        for step in signal.steps:
            values = step.apply(values)
        return values

    def level(values: np.ndarray) -> np.ndarray:
        return levels.apply(values, level_scale)

    minimum = levels.minimum
    if signal.steps and signal.steps[-1].kind == "relu":
        minimum = int(level(np.zeros((channels, 1), np.float32)).min())
    wanted = np.arange(minimum + 1, levels.maximum + 1)
    low, high = np.where(signs > 0, low, -high), np.where(signs > 0, high, -low)
    thresholds = _bisect(lambda x: level(value(x)) >= wanted, low, high, len(wanted))
    fragile = 0
    if not all(step.exact for step in signal.steps):
        fragile = _fragile(signal, value, level, thresholds, wanted)
    return Staircase(thresholds, signs, low, high, minimum, levels.maximum, fragile)


def _column(part: np.ndarray, channels: int, kind: type = np.float64) -> np.ndarray:
    return np.broadcast_to(np.asarray(part, kind).reshape(-1, 1), (channels, 1))


def _bisect(
    reached: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, levels: int
) -> np.ndarray:
    """The least integer of `low..high` at which each level is reached, `high + 1` where none does."""
    first = np.repeat(low[:, None], levels, axis=1)
    last = np.repeat(high[:, None] + 1, levels, axis=1)
    while (first < last).any():
        middle = (first + last) >> 1
        hit = reached(middle)
        open_ = first < last
        last = np.where(open_ & hit, middle, last)
        first = np.where(open_ & ~hit, middle + 1, first)
    return first


def _fragile(
    signal: Signal,
    value: Callable[[np.ndarray], np.ndarray],
    level: Callable[[np.ndarray], np.ndarray],
    thresholds: np.ndarray,
    wanted: np.ndarray,
) -> int:
    """How many switching points a few units in the last place could move by one."""
    size = max(float(np.abs(step.offset).max()) for step in signal.steps)
    at, before = value(thresholds), value(thresholds - 1)
    noise = np.float32(2.0**-22)
    below = level(at - noise * (np.abs(at) + np.float32(size))) < wanted
    above = level(before + noise * (np.abs(before) + np.float32(size))) >= wanted
    return int((below & (level(at) >= wanted) | above & (level(before) < wanted)).sum())


def as_thresholds(stairs: Staircase, *, name: str, source: str, output: str) -> MultiThreshold:
    return MultiThreshold(
        name=name,
        inputs=(source,),
        output=output,
        thresholds=stairs.thresholds,
        signs=stairs.signs,
        minimum=stairs.minimum,
    )


def as_requantise(
    stairs: Staircase, signal: Signal, levels: Levels, *, name: str, source: str, output: str
) -> Requantise | None:
    """The same staircase as bias, shift and clip, or None where no power of two gives exactly that."""
    steps = signal.steps[:-1] if signal.steps and signal.steps[-1].kind == "relu" else signal.steps
    affine = Signal(signal.tensor, signal.shape, signal.scale, steps).affine()
    if affine is None or levels.bipolar or (stairs.signs < 0).any():
        return None
    channels = len(stairs.signs)
    slope, offset, unit = (np.broadcast_to(part, (channels,)) for part in (*affine, levels.scale))
    ratio = slope / unit.astype(np.float64)
    if not (power_of_two(ratio) and (ratio <= 1).all()):
        return None
    shift = -np.log2(ratio).astype(np.int64)
    bias = offset / slope
    if (np.abs(bias) >= 2**60).any() or (shift >= 62).any():
        return None
    bias = np.round(bias).astype(np.int64)
    if not _same(stairs, bias[:, None], shift[:, None]):
        return None
    return Requantise(
        name=name,
        inputs=(source,),
        output=output,
        bias=bias,
        shift=shift,
        minimum=stairs.minimum,
        maximum=stairs.maximum,
    )


def _same(stairs: Staircase, bias: np.ndarray, shift: np.ndarray) -> bool:
    """Both rise monotonously, so that agreeing on each side of each threshold is agreeing everywhere."""
    wanted = np.arange(stairs.minimum + 1, stairs.maximum + 1)
    low, high = stairs.low[:, None], stairs.high[:, None]
    at, before = stairs.thresholds, stairs.thresholds - 1
    reached = _half_even(at + bias, shift) >= wanted
    not_yet = _half_even(before + bias, shift) < wanted
    return bool((reached | (at > high)).all() and (not_yet | (before < low)).all())


def _half_even(total: np.ndarray, shift: np.ndarray) -> np.ndarray:
    floor = total >> shift
    twice = (total - (floor << shift)) * 2
    one = np.int64(1) << shift
    return floor + ((twice > one) | ((twice == one) & (floor & 1 == 1)))
