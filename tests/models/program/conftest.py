"""QONNX graphs made node by node, so that tests of the importer need no torch."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Net:
    """A graph under construction; each method appends a node and returns the name of its output."""

    def __init__(self, shape, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        self.shapes = {"x": tuple(shape)}
        self.scales = {}

    def node(self, kind, inputs, shape, *, domain="", **attributes):
        name = f"{kind}_{len(self.nodes)}"
        output = f"{name}_out"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, domain=domain, **attributes))
        self.shapes[output] = tuple(shape)
        return output

    def constant(self, values, kind=np.float32):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def quant(self, x, *, scale, bits, signed, narrow=False, zero=0.0, rounding="ROUND", shape=None):
        inputs = [x, self.constant(scale), self.constant(zero), self.constant(float(bits))]
        attributes = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": rounding}
        output = self.node("Quant", inputs, shape or self.shapes[x], domain=QONNX, **attributes)
        self.scales[output] = scale
        return output

    def input(self, *, scale=1.0, bits=8, signed=True, zero=0.0):
        return self.quant("x", scale=scale, bits=bits, signed=signed, zero=zero)

    def weights(self, shape, *, bits=2, powers=False, scale=0.25):
        top = (1 << bits - 1) - 1
        integers = self.rng.integers(-top, top + 1, shape)
        if powers:
            integers = np.sign(integers) * 2 ** self.rng.integers(0, bits - 1, shape)
        return self.quant(
            self.constant(integers * scale), scale=scale, bits=bits, signed=True, narrow=True, shape=shape
        )

    def dense(self, x, features, **weights):
        (inputs,) = self.shapes[x]
        return self.node("MatMul", [x, self.weights((inputs, features), **weights)], (features,))

    def conv(self, x, channels, *, kernel=3, stride=1, padding=1, groups=1, bias=None, **weights):
        inputs, height, width = self.shapes[x]
        out = [(size + 2 * padding - kernel) // max(stride, 1) + 1 for size in (height, width)]
        arguments = [x, self.weights((channels, inputs // groups, kernel, kernel), **weights)]
        if bias is not None:
            arguments.append(self.constant(bias))
        return self.node(
            "Conv",
            arguments,
            (channels, *out),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[padding] * 4,
            group=groups,
        )

    def batch_norm(self, x, *, spread=8.0):
        channels = self.shapes[x][0]
        gamma = self.rng.normal(0, 1, channels)  # falling channels too
        parts = [gamma, self.rng.normal(0, 2, channels), self.rng.normal(0, spread, channels)]
        parts.append(self.rng.uniform(0.1, spread**2, channels))
        return self.node("BatchNormalization", [x, *map(self.constant, parts)], self.shapes[x], epsilon=1e-5)

    def relu(self, x):
        return self.node("Relu", [x], self.shapes[x])

    def activation(self, x, *, bits=2, scale=0.5):
        return self.quant(self.relu(x), scale=scale, bits=bits, signed=False)

    def pool(self, x, *, kernel=2, stride=2, padding=0):
        channels, *sizes = self.shapes[x]
        out = [(size + 2 * padding - kernel) // max(stride, 1) + 1 for size in sizes]
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        return self.node("MaxPool", [x], (channels, *out), **attributes)

    def upsample(self, x, factor=2):
        channels, height, width = self.shapes[x]
        inputs = [x, "", self.constant([1.0, 1.0, factor, factor])]
        shape = (channels, height * factor, width * factor)
        modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.node("Resize", inputs, shape, **modes)

    def add(self, x, y):
        return self.node("Add", [x, y], self.shapes[x])

    def concat(self, *parts):
        channels = sum(self.shapes[part][0] for part in parts)
        return self.node("Concat", list(parts), (channels, *self.shapes[parts[0]][1:]), axis=1)

    def flatten(self, x):
        return self.node("Flatten", [x], (int(np.prod(self.shapes[x])),), axis=1)

    def model(self, *outputs, batch=1):
        def info(name):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *self.shapes[name]])

        graph = helper.make_graph(
            self.nodes, "net", [info("x")], [info(name) for name in outputs], self.constants
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def save(self, path, *outputs):
        path.write_bytes(self.model(*outputs).SerializeToString())
        return path


@pytest.fixture(scope="session")
def net():
    """`net(shape, seed=0)` begins a graph."""
    return Net


@pytest.fixture
def small_mlp(net, tmp_path):
    """A valid file: 6 inputs, one hidden layer, 3 logits."""
    graph = net((6,), seed=1)
    hidden = graph.activation(graph.batch_norm(graph.dense(graph.input(bits=4), 5)))
    return graph.save(tmp_path / "small.onnx", graph.dense(hidden, 3))
