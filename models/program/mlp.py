"""A program that is a chain of dense layers, in the one form that pipelines compute.

Activations count from zero, every threshold rises, and biases are gone from all layers but the last: inputs
that start elsewhere, falling channels and biases all move into thresholds, which costs hardware nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.program.ops import ArgMax, Dense, MultiThreshold, Op
from models.program.program import Program

__all__ = ["Layer", "layers_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """`count of thresholds that weights @ x reaches`, or `weights @ x + bias` for the last layer."""

    name: str
    weights: np.ndarray  #: (outputs, inputs)
    input_max: int  #: inputs are 0 to this
    thresholds: np.ndarray  #: (outputs, levels), rising; no columns for the last layer
    bias: np.ndarray  #: (outputs,), zero for all but the last layer

    @property
    def outputs(self) -> int:
        return int(self.weights.shape[0])

    @property
    def inputs(self) -> int:
        return int(self.weights.shape[1])

    @property
    def levels(self) -> int:
        return int(self.thresholds.shape[1])

    @property
    def weight_max(self) -> int:
        """The largest size of a weight; 1 means ternary."""
        return max(1, int(np.abs(self.weights).max(initial=0)))

    @property
    def range(self) -> tuple[int, int]:
        """Exact least and greatest sum of any unit, bias included."""
        low = np.minimum(self.weights, 0).sum(axis=1) * self.input_max + self.bias
        high = np.maximum(self.weights, 0).sum(axis=1) * self.input_max + self.bias
        return int(low.min()), int(high.max())


def layers_of(program: Program) -> tuple[Layer, ...]:
    """The program's layers in that form; a program of another form is refused, with the layer's name."""
    minimum, maximum = program.quantiser.minimum, program.quantiser.maximum
    layers: list[Layer] = []
    pending: tuple[Dense, np.ndarray] | None = None  # a layer, and its bias, whose thresholds are to come
    source, ended = program.input, False
    for op in program.ops:
        if op.inputs != (source,) or ended:
            raise op.refuse("a pipeline is one chain from the input to the last layer; this layer branches")
        if isinstance(op, Dense) and pending is None:
            pending = op, op.bias + minimum * op.weights.sum(axis=1)
        elif isinstance(op, MultiThreshold) and pending is not None:
            layers.append(_hidden(*pending, op, maximum - minimum))
            minimum, maximum, pending = op.minimum, op.minimum + op.thresholds.shape[1], None
        elif isinstance(op, ArgMax) and pending is not None:
            ended = True  # the pipeline ends with one anyway
        else:
            raise _refused(op, after_dense=pending is not None)
        source = op.output
    if pending is None:
        raise ValueError(
            f"program {program.name!r}: a pipeline ends with a dense layer that makes the logits; take off "
            "the quantiser behind the last layer"
        )
    last, bias = pending
    none = np.zeros((len(bias), 0), np.int64)
    layers.append(
        Layer(name=last.name, weights=last.weights, input_max=maximum - minimum, thresholds=none, bias=bias)
    )
    return tuple(layers)


def _hidden(dense: Dense, bias: np.ndarray, steps: MultiThreshold, input_max: int) -> Layer:
    # sign * (weights @ x + bias) >= t is (sign * weights) @ x >= t - sign * bias
    return Layer(
        name=dense.name,
        weights=dense.weights * steps.signs[:, None],
        input_max=input_max,
        thresholds=steps.thresholds - (steps.signs * bias)[:, None],
        bias=np.zeros_like(bias),
    )


def _refused(op: Op, *, after_dense: bool) -> ValueError:
    if after_dense and isinstance(op, Dense):
        return op.refuse(
            "a pipeline needs an activation quantiser between two dense layers; add one, or merge the two"
        )
    return op.refuse(
        "a pipeline has no such layer here, only Dense and MultiThreshold in turn and an ArgMax at the end; "
        "load the model with style='thresholds', or use the tile engine"
    )
