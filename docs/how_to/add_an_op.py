"""A new operation, `Absolute`, from the ONNX node to golden integers: tests run this file.

It registers itself in this process alone. In the project the same lines go to the files that the page names.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from hw.tile.compile import compile_program
from models.detector.executor import FastProgram
from models.program import ProgramError, Tensor, load, ops, run
from models.program import execute as golden
from models.program.mlp import layers_of
from models.program.rules import RULES


# 1. models/program/ops.py: what it computes, on which shapes, within exactly which range.
@dataclass(frozen=True, kw_only=True, eq=False)
class Absolute(ops.Op):
    """The size of every element."""

    def result(self, *inputs: Tensor) -> Tensor:
        (source,) = inputs
        ends = abs(source.minimum), abs(source.maximum)
        least = 0 if source.minimum <= 0 <= source.maximum else min(ends)
        return Tensor(self.output, source.shape, least, max(ends))


# 2. models/program/execute.py: the golden arithmetic, and a line in `_KERNELS`.
def _absolute(call, x):
    # An input may come as int8, in which -128 has no size: first a type that holds the result.
    return np.abs(x.astype(golden._storage(call.result), copy=False))


golden._KERNELS[Absolute] = _absolute


# 3. models/program/rules/: how the node becomes the operation, and a line in `RULES`.
def absolute(call):
    source = call.integers()  # refuses, with a remedy, what no quantiser has made integers
    op = Absolute(name=call.node.name, inputs=(source.tensor,), output=call.output)
    return call.builder.emit(op, source.scale)


RULES["Abs"] = absolute


# 4. tests/models/program: a file with the node in it, against the QONNX executor, over the whole range.
def model_file(path: str) -> str:
    constants = {"scale": 0.5, "zero": 0.0, "bits": 8.0}
    quantiser = {"domain": "qonnx.custom_op.general", "signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
    x, q, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 256]) for name in "xqy")
    graph = helper.make_graph(
        [
            helper.make_node("Quant", ["x", *constants], ["q"], **quantiser),
            helper.make_node("Abs", ["q"], ["y"], name="size"),
        ],
        "absolute",
        [x],
        [y],
        [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()],
        value_info=[q],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


program = load(model_file("absolute.onnx"))
everything = np.arange(-128, 128, dtype=np.int8)[None]
(found,) = run(program, everything)
wanted = execute_onnx(ModelWrapper("absolute.onnx"), {"x": everything * np.float32(0.5)})["y"]
assert np.array_equal(program.outputs[0].dequantise(found), wanted)
print("equal to the QONNX executor on all 256 inputs; the range is", program.tensors["y"].type_name)

# The range must be exact, for every width after it is computed from it.
for low, high in product(range(-5, 6), repeat=2):
    if low <= high:
        op = Absolute(name="size", inputs=("a",), output="b")
        derived = op.result(Tensor("a", (1,), low, high))
        sizes = [abs(value) for value in range(low, high + 1)]
        assert (derived.minimum, derived.maximum) == (min(sizes), max(sizes))

# 5. What does not know the operation must refuse it by name, and not compute something else.
for reader in (
    lambda: compile_program(program, "sim"),
    lambda: layers_of(program),
    lambda: FastProgram(program),
):
    try:
        reader()
        raise SystemExit("a reader took an operation that it does not know")
    except (ProgramError, ValueError) as refusal:
        print(refusal)
