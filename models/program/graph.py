"""An ONNX graph in plain Python: nodes in an order in which they can run, constants as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.program.ops import MAX_ELEMENTS, ProgramError
from models.program.wire import Message, array_of, read_model

__all__ = ["Graph", "ImportRefused", "Node", "read_graph"]

MAX_NODES = 20_000


class ImportRefused(ProgramError):
    """A node that has no integer equivalent; the message gives its name, the rule and the remedy."""


@dataclass(frozen=True)
class Node:
    """One ONNX node with its attributes decoded."""

    name: str
    kind: str
    inputs: tuple[str, ...]  #: "" where an optional input is left out
    outputs: tuple[str, ...]
    attributes: dict[str, object]

    def refuse(self, rule: str, *, remedy: str) -> ImportRefused:
        return ImportRefused(f"node {self.name!r} ({self.kind}): {rule}; {remedy}")

    def integer(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        if not isinstance(value, int):
            raise self.refuse(
                f"attribute {name!r} must be an integer, not {value!r}", remedy="export it again"
            )
        return value

    def number(self, name: str, default: float) -> float:
        value = self.attributes.get(name, default)
        if not isinstance(value, (int, float)):
            raise self.refuse(f"attribute {name!r} must be a number, not {value!r}", remedy="export it again")
        return float(value)

    def pair(self, name: str) -> tuple[int, int]:
        """Two sizes, 1 by default."""
        down, right = self._sizes(name, (1, 1))
        return down, right

    def padding(self) -> tuple[int, int, int, int]:
        top, left, bottom, right = self._sizes("pads", (0, 0, 0, 0))
        return top, left, bottom, right

    def _sizes(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self.attributes.get(name, default)
        if not isinstance(value, tuple) or len(value) != len(default):
            raise self.refuse(
                f"attribute {name!r} must hold {len(default)} integers, not {value!r}",
                remedy="only two-dimensional layers are supported",
            )
        return value

    def text(self, name: str, default: str) -> str:
        return str(self.attributes.get(name, default))


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order, initializers, the one input and the outputs."""

    path: Path
    nodes: tuple[Node, ...]
    constants: dict[str, np.ndarray]
    input: str
    input_shape: tuple[int, ...]  #: with the batch
    outputs: tuple[str, ...]


def read_graph(path: str | Path) -> Graph:
    """Read a file and put it in order; what is missing, doubled or circular is refused."""
    path = Path(path)
    graph = read_model(path).graph
    if graph.sparse_initializer:
        raise ProgramError(f"{path.name}: sparse initializers are not supported; save the weights dense")
    if len(graph.node) > MAX_NODES:
        raise ProgramError(
            f"{path.name}: {len(graph.node):,} nodes, more than {MAX_NODES:,}; is it the right file?"
        )
    constants = {tensor.name: array_of(tensor, path=path) for tensor in graph.initializer}
    nodes = [_node(message, index, path=path) for index, message in enumerate(graph.node)]
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or not graph.output:
        raise ProgramError(
            f"{path.name}: a program has one input and at least one output, this graph has "
            f"{[value.name for value in inputs]!r} and {[value.name for value in graph.output]!r}; "
            "merge the inputs in the model"
        )
    return Graph(
        path=path,
        nodes=_in_order(nodes, {inputs[0].name, "", *constants}, path=path),
        constants=constants,
        input=inputs[0].name,
        input_shape=_shape(inputs[0], path=path),
        outputs=tuple(value.name for value in graph.output),
    )


def _node(message: Message, index: int, *, path: Path) -> Node:
    attributes = {item.name: _attribute(item, path=path) for item in message.attribute}
    name = message.name or f"{message.op_type}_{index}"
    return Node(name, message.op_type, tuple(message.input), tuple(message.output), attributes)


def _attribute(item: Message, *, path: Path) -> object:
    if item.t is not None:
        return array_of(item.t, path=path)
    if "g" in item:
        return item.g  # control flow: no rule reads it, so the node is refused by its kind
    if item.type == 7 or item.ints:
        return tuple(item.ints)
    if item.type == 6 or item.floats:
        return tuple(item.floats)
    for field in ("s", "f", "i"):
        if field in item:
            return item[field]
    return {1: 0.0, 2: 0, 3: ""}.get(item.type)  # protobuf may leave a zero out


def _shape(value: Message, *, path: Path) -> tuple[int, ...]:
    tensor_type = value.type.tensor_type if value.type is not None else None
    if tensor_type is None or tensor_type.shape is None or len(tensor_type.shape.dim) < 2:
        raise ProgramError(f"{path.name}: input {value.name!r} has no shape (batch, ...); export it with one")
    batch, *sizes = [dimension.dim_value for dimension in tensor_type.shape.dim]
    elements = 1
    for size in sizes:
        elements *= max(size, 0)
    if not 0 < elements <= MAX_ELEMENTS:
        raise ProgramError(
            f"{path.name}: input {value.name!r} has shape {(batch, *sizes)!r}; all sizes but the batch must "
            f"be fixed and at most {MAX_ELEMENTS:,} elements in total"
        )
    return (batch, *sizes)


def _in_order(nodes: list[Node], known: set[str], *, path: Path) -> tuple[Node, ...]:
    """Topological order, stable: nodes that are in order already stay as they are."""
    made: set[str] = set()
    for node in nodes:
        doubled = [name for name in node.outputs if name and (name in made or name in known)]
        if doubled:
            raise ProgramError(
                f"{path.name}: node {node.name!r} makes {doubled[0]!r} a second time; export again"
            )
        made.update(node.outputs)
    readers: dict[str, list[int]] = {}
    waiting = []
    for index, node in enumerate(nodes):
        missing = set(node.inputs) - known
        unknown = missing - made
        if unknown:
            raise ProgramError(
                f"{path.name}: node {node.name!r} reads {sorted(unknown)[0]!r}, which nothing makes"
            )
        waiting.append(len(missing))
        for name in missing:
            readers.setdefault(name, []).append(index)
    return tuple(_released(nodes, waiting, readers, path=path))


def _released(
    nodes: list[Node], waiting: list[int], readers: dict[str, list[int]], *, path: Path
) -> list[Node]:
    ready = [index for index, count in enumerate(waiting) if not count]
    ordered: list[Node] = []
    for index in ready:  # grows while it is walked
        ordered.append(nodes[index])
        for name in nodes[index].outputs:
            for reader in readers.get(name, ()):
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
    if len(ordered) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        raise ProgramError(f"{path.name}: node {stuck.name!r} reads its own result in a circle; export again")
    return ordered
