"""The golden executor: a program on a batch of integers, exact, in numpy alone.

Matrix products go through BLAS in float32 or float64 wherever the worst case of the accumulator proves that
every partial sum is an integer which that type holds exactly; otherwise through int64.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from models.program import ops
from models.program.ops import Tensor
from models.program.program import Program

__all__ = ["run", "trace"]

#: Bytes of the largest tensor that a block of the batch should have: small enough for a cache, large enough
#: to keep numpy's call overhead out of sight.
BLOCK_BYTES = 1 << 20
#: Bytes of the unrolled windows of a convolution that exist at a time.
COLUMN_BYTES = 8 << 20
#: Up to this many thresholds, counting comparisons is faster than a search.
COUNTED_LEVELS = 8


class _Call(NamedTuple):
    """What a kernel knows besides the arrays."""

    op: Any
    sources: tuple[Tensor, ...]
    result: Tensor


def run(program: Program, integers: np.ndarray) -> tuple[np.ndarray, ...]:
    """The program's outputs, int64, one array an output, for a batch of quantised inputs."""
    inputs = _checked_input(program, integers)
    blocks = [_run_block(program, block, keep=False) for block in _blocks(program, inputs)]
    results = []
    for output in program.outputs:
        parts = [block[output.tensor].astype(np.int64) for block in blocks]
        results.append(np.concatenate(parts).reshape(len(inputs), *output.shape))
    return tuple(results)


def trace(program: Program, integers: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of the program by name, int64: what gateware is compared with, layer by layer."""
    inputs = _checked_input(program, integers)
    values = _run_block(program, inputs, keep=True)
    return {name: value.astype(np.int64) for name, value in values.items()}


def _checked_input(program: Program, integers: np.ndarray) -> np.ndarray:
    inputs = np.asarray(integers)
    source = program.tensors[program.input]
    if inputs.dtype.kind not in "iub":
        raise ValueError(
            f"program {program.name!r}: the input must be integers, not {inputs.dtype}; "
            "use program.quantiser.quantise() on real numbers"
        )
    if inputs.shape[1:] != source.shape:
        raise ValueError(
            f"program {program.name!r}: the input must have shape (batch, {source.shape!r}), "
            f"not {inputs.shape!r}"
        )
    if inputs.size and not source.minimum <= inputs.min() <= inputs.max() <= source.maximum:
        raise ValueError(
            f"program {program.name!r}: inputs must lie in {source.minimum}..{source.maximum}, "
            f"not {inputs.min()}..{inputs.max()}"
        )
    return inputs


def _blocks(program: Program, inputs: np.ndarray) -> list[np.ndarray]:
    largest = max(int(np.prod(tensor.shape)) for tensor in program.tensors.values())
    rows = max(1, BLOCK_BYTES // (4 * largest))
    return [inputs[start : start + rows] for start in range(0, max(len(inputs), 1), rows)]


def _run_block(program: Program, inputs: np.ndarray, *, keep: bool) -> dict[str, np.ndarray]:
    tensors = program.tensors
    values = {program.input: inputs}
    last_use = {name: index for index, op in enumerate(program.ops) for name in op.inputs}
    wanted = {output.tensor for output in program.outputs}
    for index, op in enumerate(program.ops):
        call = _Call(op, program.inputs_of(op), tensors[op.output])
        sources = [values[name] for name in op.inputs]
        values[op.output] = _KERNELS[type(op)](call, *sources)
        for name in op.inputs if not keep else ():
            if last_use[name] == index and name not in wanted:
                values.pop(name, None)
    return values


def _exact_type(worst: float) -> type:
    """The fastest type in which integers up to `worst` in size add up exactly, in any order."""
    if worst < 2**24:
        return np.float32
    return np.float64 if worst < 2**53 else np.int64


def _worst_sum(op: ops.Dense | ops.Convolution, source: Tensor) -> float:
    """No partial sum of any output is larger than this, bias included."""
    largest = max(abs(source.minimum), abs(source.maximum))
    sums = np.abs(op.weights).reshape(len(op.weights), -1).astype(np.float64).sum(axis=1)
    return float((sums * largest + np.abs(op.bias)).max(initial=0)) * (1 + 1e-9)


def _storage(tensor: Tensor) -> type:
    return _exact_type(max(abs(tensor.minimum), abs(tensor.maximum)))


def _dense(call: _Call, x: np.ndarray) -> np.ndarray:
    kind = _exact_type(_worst_sum(call.op, call.sources[0]))
    total = x.reshape(len(x), call.op.weights.shape[1]).astype(kind, copy=False) @ call.op.weights.T.astype(
        kind
    )
    if call.op.bias.any():
        total += call.op.bias.astype(kind)
    return total


def _convolution(call: _Call, x: np.ndarray) -> np.ndarray:
    """Windows unrolled into columns, then one matrix product; in strips, since maps may be large."""
    kind = _exact_type(_worst_sum(call.op, call.sources[0]))
    batch, groups = len(x), call.op.groups
    outputs, group_inputs, kernel_height, kernel_width = call.op.weights.shape
    height, width = call.result.shape[1:]
    padded = _pad(x.astype(kind, copy=False), call.op.padding, value=0)
    grouped = padded.reshape(batch, groups, group_inputs, *padded.shape[2:])
    taps = kernel_height * kernel_width
    weights = call.op.weights.astype(kind).reshape(groups, outputs // groups, group_inputs * taps)
    total: np.ndarray = np.empty((batch, outputs, height, width), kind)
    strip = max(1, COLUMN_BYTES // (8 * max(batch, 1) * groups * group_inputs * taps * width))
    for top in range(0, height, strip):
        rows = min(strip, height - top)
        columns: np.ndarray = np.empty((batch, groups, group_inputs, taps, rows, width), kind)
        for tap, (row, column) in enumerate(product(range(kernel_height), range(kernel_width))):
            first = row + top * call.op.stride[0]
            columns[:, :, :, tap] = _window(grouped, first, column, call.op.stride, rows, width)
        sums = weights @ columns.reshape(batch, groups, group_inputs * taps, rows * width)
        total[:, :, top : top + rows] = sums.reshape(batch, outputs, rows, width)
    if call.op.bias.any():
        total += call.op.bias.astype(kind).reshape(outputs, 1, 1)
    return total


def _pad(x: np.ndarray, padding: tuple[int, int, int, int], *, value: int) -> np.ndarray:
    top, left, bottom, right = padding
    if not any(padding):
        return x
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def _window(
    x: np.ndarray, row: int, column: int, stride: tuple[int, int], height: int, width: int
) -> np.ndarray:
    """What one tap of the kernel sees at every position."""
    down, right = stride
    return x[
        ..., row : row + down * (height - 1) + 1 : down, column : column + right * (width - 1) + 1 : right
    ]


def _multi_threshold(call: _Call, x: np.ndarray) -> np.ndarray:
    channels, levels = call.op.thresholds.shape
    along = (channels, *(1,) * (x.ndim - 2))
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.int64)
    # A threshold beyond the input's range says always or never: moved to the edge, it is exact in `kind`.
    low, high = _signed_range(call.sources[0])
    thresholds = np.clip(call.op.thresholds, low, high + 1).astype(kind)
    if (call.op.signs < 0).any():
        x = x * call.op.signs.reshape(along).astype(kind)
    counts: np.ndarray = np.full(x.shape, call.op.minimum, _storage(call.result))
    if levels <= COUNTED_LEVELS:
        for level in range(levels):
            counts += x >= thresholds[:, level].reshape(along)
        return counts
    for channel in range(channels):
        counts[:, channel] += np.searchsorted(thresholds[channel], x[:, channel], side="right")
    return counts


def _signed_range(source: Tensor) -> tuple[int, int]:
    """The range of the input or of its negative."""
    return min(source.minimum, -source.maximum), max(source.maximum, -source.minimum)


def _requantise(call: _Call, x: np.ndarray) -> np.ndarray:
    along = (len(call.op.bias), *(1,) * (x.ndim - 2))
    bias, shift = call.op.bias.reshape(along), call.op.shift.reshape(along)
    worst = max(abs(call.sources[0].minimum), abs(call.sources[0].maximum)) + int(np.abs(call.op.bias).max())
    kind = _exact_type(worst)
    if kind is not np.int64:
        # A product with a power of two is exact and numpy rounds half to even.
        scaled = x.astype(kind, copy=False) + bias.astype(kind)
        scaled *= np.ldexp(1.0, -shift).astype(kind)
        np.round(scaled, out=scaled)
        np.clip(scaled, call.op.minimum, call.op.maximum, out=scaled)
        return scaled.astype(_storage(call.result), copy=False)
    total = x.astype(np.int64) + bias
    floor = total >> shift
    twice = (total - (floor << shift)) * 2
    one = np.int64(1) << shift
    floor += (twice > one) | ((twice == one) & (floor & 1 == 1))
    return np.clip(floor, call.op.minimum, call.op.maximum)


def _max_pool(call: _Call, x: np.ndarray) -> np.ndarray:
    height, width = call.result.shape[1:]
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.int64)
    padded = _pad(x.astype(kind, copy=False), call.op.padding, value=call.sources[0].minimum)
    taps = product(range(call.op.kernel[0]), range(call.op.kernel[1]))
    windows = (_window(padded, row, column, call.op.stride, height, width) for row, column in taps)
    greatest = next(windows).copy()
    for window in windows:
        np.maximum(greatest, window, out=greatest)
    return greatest


def _add(call: _Call, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    kind = _storage(call.result)
    return x.astype(kind, copy=False) + y.astype(kind, copy=False)


def _concat(call: _Call, *parts: np.ndarray) -> np.ndarray:
    kind = _storage(call.result)
    return np.concatenate([part.astype(kind, copy=False) for part in parts], axis=1)


def _upsample(call: _Call, x: np.ndarray) -> np.ndarray:
    return x.repeat(call.op.factor[0], axis=2).repeat(call.op.factor[1], axis=3)


def _arg_max(_call: _Call, x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), prod(x.shape[1:])).argmax(
        axis=1, keepdims=True
    )  # numpy gives the first of equals


_KERNELS: dict[type, Callable[..., np.ndarray]] = {
    ops.Dense: _dense,
    ops.Convolution: _convolution,
    ops.MultiThreshold: _multi_threshold,
    ops.Requantise: _requantise,
    ops.MaxPool: _max_pool,
    ops.Add: _add,
    ops.Concat: _concat,
    ops.Upsample: _upsample,
    ops.ArgMax: _arg_max,
}
