"""A fast exact executor for programs of convolutions: onnxruntime on integers that float32 holds exactly.

Every accumulator is an integer below 2^24, so that float32 sums are exact in any order; `run` of
`models.program` gives the same integers several times slower. A program beyond that range is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from models.program import Program, ops

__all__ = ["FastProgram"]

#: float32 holds all integers up to here.
EXACT = 1 << 24


class FastProgram:
    """`FastProgram(program)(integers)` equals `run(program, integers)`, element by element."""

    def __init__(self, program: Program, *, threads: int = 1):
        import onnxruntime

        self.program = program
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            _float_model(program), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, integers: np.ndarray) -> tuple[np.ndarray, ...]:
        source = self.program.tensors[self.program.input]
        if integers.dtype.kind not in "iu" or integers.shape[1:] != source.shape:
            raise ValueError(
                f"program {self.program.name!r}: the input must be integers of shape "
                f"(batch, {source.shape!r}), not {integers.dtype} of {integers.shape!r}"
            )
        if integers.size and not source.minimum <= integers.min() <= integers.max() <= source.maximum:
            raise ValueError(
                f"program {self.program.name!r}: inputs must lie in {source.minimum}..{source.maximum}, "
                f"not {integers.min()}..{integers.max()}"
            )
        results = self._session.run(None, {self.program.input: integers.astype(np.float32)})
        return tuple(
            one.reshape(len(integers), *output.shape).astype(np.int64)
            for one, output in zip(results, self.program.outputs, strict=True)
        )

    def dequantised(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        """The maps in real numbers, as `boxes.detect` takes them."""
        return tuple(
            output.dequantise(one) for output, one in zip(self.program.outputs, self(pixels), strict=True)
        )


class _Graph:
    """Collects ONNX nodes and their constants."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, kind: type = np.float32) -> str:
        from onnx import numpy_helper

        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        output = output or f"inner{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output


def _float_model(program: Program) -> bytes:
    from onnx import TensorProto, helper

    graph = _Graph()
    for op in program.ops:
        if type(op) not in _WRITERS:
            raise ValueError(f"layer {op.name!r}: the fast executor has no {op.kind}; use models.program.run")
        result = program.tensors[op.output]
        _refuse_inexact(program, op)
        _WRITERS[type(op)](graph, op, result)
    source = program.tensors[program.input]
    inputs = [helper.make_tensor_value_info(program.input, TensorProto.FLOAT, ["batch", *source.shape])]
    outputs = [helper.make_tensor_value_info(one.tensor, TensorProto.FLOAT, None) for one in program.outputs]
    model = helper.make_graph(graph.nodes, "program", inputs, outputs, graph.constants)
    opset = [helper.make_opsetid("", 13)]
    return helper.make_model(model, opset_imports=opset, ir_version=8).SerializeToString()


def _refuse_inexact(program: Program, op: ops.Op) -> None:
    """No partial sum may leave float32's integers: the sum of sizes bounds them all, in any order."""
    worst = max(abs(program.tensors[op.output].minimum), abs(program.tensors[op.output].maximum))
    if isinstance(op, ops.Convolution):
        source = program.tensors[op.inputs[0]]
        sizes = np.abs(op.weights).astype(np.float64).sum(axis=(1, 2, 3))
        worst = int((sizes * max(abs(source.minimum), abs(source.maximum)) + np.abs(op.bias)).max())
    if isinstance(op, ops.Requantise):
        source = program.tensors[op.inputs[0]]
        worst = max(abs(source.minimum), abs(source.maximum)) + int(np.abs(op.bias).max())
    if worst >= EXACT:
        raise ValueError(
            f"layer {op.name!r}: sums reach {worst}, beyond the integers of float32; use models.program.run"
        )


def _convolution(graph: _Graph, op: Any, _result: Any) -> None:
    weights, bias = graph.constant(op.weights), graph.constant(op.bias)
    graph.node(
        "Conv",
        *(op.inputs[0], weights, bias),
        output=op.output,
        group=op.groups,
        strides=list(op.stride),
        pads=list(op.padding),
        kernel_shape=list(op.weights.shape[2:]),
    )


def _requantise(graph: _Graph, op: Any, _result: Any) -> None:
    along = (1, -1, 1, 1)
    total = op.inputs[0]
    if op.bias.any():
        total = graph.node("Add", total, graph.constant(op.bias.reshape(along)))
    # A product with a power of two is exact, and Round is half to even.
    scaled = graph.node("Mul", total, graph.constant(np.ldexp(1.0, -op.shift).reshape(along)))
    rounded = graph.node("Round", scaled)
    graph.node("Clip", rounded, graph.constant(op.minimum), graph.constant(op.maximum), output=op.output)


def _max_pool(graph: _Graph, op: Any, _result: Any) -> None:
    shape = {"kernel_shape": list(op.kernel), "strides": list(op.stride), "pads": list(op.padding)}
    graph.node("MaxPool", *op.inputs, output=op.output, **shape)


def _add(graph: _Graph, op: Any, _result: Any) -> None:
    graph.node("Add", *op.inputs, output=op.output)


def _concat(graph: _Graph, op: Any, _result: Any) -> None:
    graph.node("Concat", *op.inputs, output=op.output, axis=1)


def _upsample(graph: _Graph, op: Any, _result: Any) -> None:
    scales = graph.constant([1, 1, *op.factor])
    options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    graph.node("Resize", op.inputs[0], "", scales, output=op.output, **options)


_WRITERS: dict[type, Callable[[_Graph, Any, Any], None]] = {
    ops.Convolution: _convolution,
    ops.Requantise: _requantise,
    ops.MaxPool: _max_pool,
    ops.Add: _add,
    ops.Concat: _concat,
    ops.Upsample: _upsample,
}
