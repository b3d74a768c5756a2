"""QONNX file in, integer program out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.program import ops
from models.program.builder import STYLES, Builder
from models.program.graph import Graph, Node, read_graph
from models.program.ops import Op, ProgramError
from models.program.program import Output, Program
from models.program.rules import DAMAGED, REMEDIES, RULES, Call
from models.program.values import Constant, RawInput, Value

__all__ = ["load"]


def load(path: str | Path, *, style: str = "auto") -> Program:
    """The integer program of a QONNX file, as exported or after qonnx's cleanup.

    `style` says how quantisers between layers are written: "thresholds" always as MultiThreshold, which any
    monotone quantiser becomes exactly; "requantise" as bias, shift and clip wherever powers of two make that
    exact; "auto" requantises feature maps (the convolution engine) and thresholds vectors (the pipelines).

    Raises `ImportRefused` with node, rule and remedy for what has no integer equivalent and `ProgramError`
    for files that are damaged; both are ValueErrors.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {STYLES}, not {style!r}")
    graph = read_graph(path)
    builder = Builder(graph, style=style)
    values: dict[str, Value | None] = {"": None, graph.input: RawInput(graph.input_shape[1:])}
    values.update({name: Constant(array) for name, array in graph.constants.items()})
    for node in _needed(graph):
        values[_result_name(node)] = _apply(builder, node, values)
    outputs = tuple(builder.output(name, values.get(name)) for name in graph.outputs)
    if builder.quantiser is None:
        raise ProgramError(f"{graph.path.name}: no output depends on the input; check the model's forward()")
    operations = _live(builder.ops, outputs)
    return Program(
        name=graph.path.stem,
        input=graph.input,
        input_shape=builder.tensors[graph.input].shape,
        quantiser=builder.quantiser,
        ops=_turned_round(operations, outputs),
        outputs=outputs,
        notes=tuple(builder.notes),
    )


def _apply(builder: Builder, node: Node, values: dict[str, Value | None]) -> Value:
    if node.kind not in RULES:
        remedy = REMEDIES.get(node.kind, f"supported are {', '.join(sorted(RULES))}")
        raise node.refuse("there is no integer equivalent", remedy=remedy)
    missing = [name for name in node.inputs if name not in values]
    if missing:
        raise node.refuse(f"reads {missing[0]!r}, a second output", remedy="only first outputs are supported")
    if not node.outputs or not (node.inputs or node.kind == "Constant"):
        raise node.refuse("it has no input or no output", remedy=DAMAGED)
    call = Call(builder, node, tuple(values[name] for name in node.inputs))
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise", under="ignore"):
            return RULES[node.kind](call)
    except FloatingPointError as error:
        raise node.refuse(f"its numbers leave float32 ({error})", remedy="the training diverged") from error


def _result_name(node: Node) -> str:
    """TopK's second output, the index, is the one that a program computes."""
    return node.outputs[-1 if node.kind == "TopK" else 0] if node.outputs else ""


def _needed(graph: Graph) -> list[Node]:
    """Nodes that an output depends on: exports leave dead ones behind."""
    wanted, needed = set(graph.outputs), []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            needed.append(node)
    return needed[::-1]


def _live(operations: list[Op], outputs: tuple[Output, ...]) -> list[Op]:
    wanted, live = {output.tensor for output in outputs}, []
    for op in reversed(operations):
        if op.output in wanted:
            wanted.update(op.inputs)
            live.append(op)
    return live[::-1]


def _turned_round(operations: list[Op], outputs: tuple[Output, ...]) -> tuple[Op, ...]:
    """Negate the weights of channels whose thresholds fall, so that they rise: cheaper in hardware.

    Only where nothing else reads the accumulator and the weights need no more bits for it.
    """
    readers = Counter(name for op in operations for name in op.inputs)
    readers.update(output.tensor for output in outputs)
    makers = {op.output: index for index, op in enumerate(operations)}
    turned = list(operations)
    for index, op in enumerate(operations):
        if not isinstance(op, ops.MultiThreshold) or (op.signs > 0).all() or readers[op.inputs[0]] != 1:
            continue
        at = makers.get(op.inputs[0])
        layer = turned[at] if at is not None else None
        if at is None or not isinstance(layer, (ops.Dense, ops.Convolution)):
            continue
        weights = layer.weights * op.signs.reshape(-1, *(1,) * (layer.weights.ndim - 1))
        negated = replace(layer, weights=weights, bias=layer.bias * op.signs)
        if negated.weight_bits <= layer.weight_bits:
            turned[at] = negated
            turned[index] = replace(op, signs=np.ones_like(op.signs))
    return tuple(turned)
