"""What a rule is given: the builder, the node, the values of its inputs, and the usual demands on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.program.builder import Builder
from models.program.graph import ImportRefused, Node
from models.program.values import Constant, RawInput, Signal, Value

__all__ = ["DAMAGED", "Call"]

DAMAGED = "the file is damaged: export the model again"


@dataclass(frozen=True)
class Call:
    """One node to be translated."""

    builder: Builder
    node: Node
    args: tuple[Value | None, ...]  #: None where an optional input is left out

    @property
    def output(self) -> str:
        return self.node.outputs[0]

    def refuse(self, rule: str, *, remedy: str) -> ImportRefused:
        return self.node.refuse(rule, remedy=remedy)

    def arg(self, index: int) -> Value | None:
        return self.args[index] if index < len(self.args) else None

    def array(self, index: int) -> np.ndarray:
        """A constant input's numbers, all finite."""
        return self.builder.array(self.node, self.arg(index))

    def signal(self, index: int = 0) -> Signal:
        """An input that depends on the quantised input of the graph."""
        value = self.arg(index)
        if isinstance(value, Signal):
            return value
        if isinstance(value, RawInput):
            raise self.refuse(
                "it reads the input before any quantiser",
                remedy="let the model begin with an input quantiser (models.quantisers.QuantInput)",
            )
        raise self.refuse("it computes on constants", remedy="run qonnx's cleanup, which folds constants")

    def signals(self) -> list[Signal]:
        return [self.signal(index) for index in range(len(self.args))]

    def integers(self, index: int = 0) -> Signal:
        """A signal that a quantiser has made integers."""
        return self.builder.integers(self.node, self.signal(index))

    def one_scale(self) -> Signal:
        """The first input as integers of one scale."""
        signal = self.integers()
        if signal.scale.ndim:
            raise self.refuse(
                "its input has a scale a channel",
                remedy="use one scale a tensor for the activations, and for weights before an arg-max",
            )
        return signal

    def with_constant(self, *, swap: bool) -> tuple[Signal, np.ndarray]:
        """The signal and the constant, as () or (channels,), of a binary operation."""
        first, second = (1, 0) if swap and isinstance(self.arg(0), Constant) else (0, 1)
        source = self.signal(first)
        return source, self.builder.per_channel(self.node, source, self.arg(second))
