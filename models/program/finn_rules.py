"""Would FINN take this QONNX graph whole into its dataflow partition? Structure rules, checked without FINN.

FINN reports success and silently leaves layers that it could not convert to the processor. These are the
rules that decide it, found by building variants with FINN 0.10 (see docs/program.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.program.graph import Graph, Node, read_graph

__all__ = ["finn_violations"]

_QUANTISERS = {"Quant", "IntQuant", "BipolarQuant"}
_LINEAR = {"MatMul", "Gemm", "Conv"}
#: What streamlining absorbs into thresholds or moves to the end.
_ABSORBED = {"BatchNormalization", "Mul", "Add", "Sub", "Div"}
#: What passes integers on unchanged.
_MOVING = {"MaxPool", "Flatten", "Reshape", "Identity", "Dropout", "Transpose"}
_ACTIVATIONS = {"Relu"}
_LAST = {"TopK", "ArgMax"}

#: Operations that stay on the processor, or worse, and what happened when they were tried.
_BROKEN = {
    "AveragePool": "it, the flattening and every layer after it stay on the processor",
    "GlobalAveragePool": "it and every layer after it stay on the processor",
    "Trunc": "its result differs from the model's",
    "FloatQuant": "FINN's qonnx does not know it",
    "Resize": "no build with it was tried, so it is not known to be accepted",
    "Upsample": "no build with it was tried, so it is not known to be accepted",
    "Concat": "no build with it was tried, so it is not known to be accepted",
}


def finn_violations(path: str | Path) -> list[str]:
    """The rules that a graph breaks, by node; an empty list means that no layer would be left outside."""
    graph = read_graph(path)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    constants = set(graph.constants) | _constant_results(graph)
    violations: list[str] = []
    for node in graph.nodes:
        if node.outputs and node.outputs[0] in constants:
            continue
        violations += [
            f"node {node.name!r} ({node.kind}): {rule}" for rule in _broken(node, graph, makers, constants)
        ]
    return violations


def _constant_results(graph: Graph) -> set[str]:
    """Tensors that depend on no input: quantised and transposed weights."""
    constant = set(graph.constants) | {""}
    for node in graph.nodes:
        if all(name in constant for name in node.inputs):
            constant.update(node.outputs)
    return constant


def _broken(node: Node, graph: Graph, makers: dict[str, Node], constants: set[str]) -> Iterator[str]:
    known = _QUANTISERS | _LINEAR | _ABSORBED | _MOVING | _ACTIVATIONS | _LAST
    dynamic = [name for name in node.inputs if name not in constants]
    if node.kind not in known:
        yield _BROKEN.get(node.kind, "FINN has no dataflow layer for it")
        return
    if node.kind in _LINEAR:
        yield from _linear(node, graph, makers, constants)
    if node.kind == "Add" and len(dynamic) == 2:
        yield from _residual(dynamic, makers)
    if node.kind == "BipolarQuant" and graph.input in node.inputs:
        yield "a bipolar input quantiser is exported for one-bit inputs; use an unsigned Quant"
    if (
        node.kind in _QUANTISERS
        and _identity_activation(node, graph, makers)
        and not node.integer("signed", 1)
    ):
        yield "FINN only supports signed quantisers without a rectifier before them"
    if node.kind == "MaxPool" and any(node.padding()):
        yield "FINN's pooling layer has no padding"


def _linear(node: Node, graph: Graph, makers: dict[str, Node], constants: set[str]) -> Iterator[str]:
    if node.kind == "Gemm" and (len(node.inputs) < 3 or not node.inputs[2]):
        yield "a Gemm without bias crashes FINN's GemmToMatMul; export with dynamo=False, opset_version=13"
    if node.kind == "Conv" and node.integer("group", 1) != 1:
        yield "depthwise and grouped convolutions fail in FINN's partitioning"
    source = _past_moving(node.inputs[0], makers)
    if source == graph.input:
        yield "it reads the unquantised input; begin the model with an input quantiser"
    elif source in makers and makers[source].kind not in _QUANTISERS:
        yield "its input is not quantised; it and every layer after it stay on the processor"
    weights = makers.get(_past_moving(node.inputs[1], makers))
    if node.inputs[1] not in constants or weights is None or weights.kind not in _QUANTISERS:
        yield "its weights are not quantised"


def _residual(branches: list[str], makers: dict[str, Node]) -> Iterator[str]:
    ends = [makers.get(_past_moving(name, makers)) for name in branches]
    if any(end is None or end.kind not in _QUANTISERS for end in ends):
        yield "both branches of a sum need a quantiser"
    elif any(end is not None and not end.integer("signed", 1) for end in ends):
        yield "the quantiser shared by the branches of a sum must be signed"


def _identity_activation(node: Node, graph: Graph, makers: dict[str, Node]) -> bool:
    """A quantiser in the middle that no rectifier precedes."""
    source = node.inputs[0]
    return source != graph.input and source in makers and makers[source].kind not in _ACTIVATIONS


def _past_moving(name: str, makers: dict[str, Node]) -> str:
    while name in makers and makers[name].kind in _MOVING:
        name = makers[name].inputs[0]
    return name
