"""FINN's structure rules on graphs that it takes whole, and on graphs of which it leaves layers outside."""

import numpy as np
import pytest

from models.program.finn_rules import finn_violations


def violations(graph, path, *outputs):
    return finn_violations(graph.save(path / "net.onnx", *outputs))


@pytest.fixture
def vector(net):
    graph = net((6,), seed=1)
    return graph, graph.input()


@pytest.fixture
def feature_map(net):
    graph = net((2, 8, 8), seed=1)
    return graph, graph.input()


def test_a_quantised_mlp_is_taken_whole(vector, tmp_path):
    graph, x = vector
    hidden = graph.activation(graph.batch_norm(graph.dense(x, 5)))
    bare = graph.activation(graph.dense(hidden, 5))
    assert violations(graph, tmp_path, graph.batch_norm(graph.dense(bare, 3))) == []


def test_convolution_and_pooling_are_taken_whole(feature_map, tmp_path):
    graph, x = feature_map
    hidden = graph.pool(graph.activation(graph.batch_norm(graph.conv(x, 4))))
    assert violations(graph, tmp_path, graph.dense(graph.flatten(hidden), 3)) == []


def test_a_residual_of_signed_quantisers_is_taken_whole(feature_map, tmp_path):
    graph, x = feature_map
    first = graph.quant(graph.conv(x, 4), scale=0.5, bits=4, signed=True)
    second = graph.quant(graph.conv(first, 4), scale=0.5, bits=4, signed=True)
    total = graph.quant(graph.add(first, second), scale=0.5, bits=4, signed=True)
    assert violations(graph, tmp_path, graph.conv(total, 2)) == []


def test_a_missing_input_quantiser(net, tmp_path):
    graph = net((6,), seed=1)
    assert violations(graph, tmp_path, graph.dense("x", 3)) == [
        "node 'MatMul_1' (MatMul): it reads the unquantised input; begin the model with an input quantiser"
    ]


def test_an_unquantised_activation(vector, tmp_path):
    graph, x = vector
    (message,) = violations(graph, tmp_path, graph.dense(graph.relu(graph.dense(x, 5)), 3))
    assert "'MatMul_5' (MatMul): its input is not quantised; it and every layer after it stay" in message


def test_unquantised_weights(vector, tmp_path):
    graph, x = vector
    (message,) = violations(graph, tmp_path, graph.node("MatMul", [x, graph.constant(np.ones((6, 3)))], (3,)))
    assert "its weights are not quantised" in message


def test_a_gemm_without_bias(vector, tmp_path):
    graph, x = vector
    (message,) = violations(graph, tmp_path, graph.node("Gemm", [x, graph.weights((3, 6))], (3,), transB=1))
    assert "crashes FINN's GemmToMatMul; export with dynamo=False" in message


def test_average_pooling(feature_map, tmp_path):
    graph, x = feature_map
    pool = graph.node("AveragePool", [x], (2, 4, 4), kernel_shape=[2, 2], strides=[2, 2])
    messages = violations(graph, tmp_path, graph.dense(graph.flatten(pool), 3))
    assert "node 'AveragePool_1' (AveragePool): it, the flattening and every layer after it" in messages[0]


def test_depthwise_convolution(feature_map, tmp_path):
    graph, x = feature_map
    (message,) = violations(graph, tmp_path, graph.conv(x, 2, groups=2))
    assert "depthwise and grouped convolutions fail" in message


def test_a_residual_of_unsigned_quantisers(feature_map, tmp_path):
    graph, x = feature_map
    first, second = graph.activation(graph.conv(x, 4)), graph.activation(graph.conv(x, 4))
    messages = violations(graph, tmp_path, graph.activation(graph.add(first, second)))
    assert any("shared by the branches of a sum must be signed" in message for message in messages)


def test_an_unsigned_quantiser_without_rectifier(vector, tmp_path):
    graph, x = vector
    hidden = graph.quant(graph.dense(x, 4), scale=0.5, bits=2, signed=False)
    (message,) = violations(graph, tmp_path, graph.dense(hidden, 3))
    assert "FINN only supports signed quantisers without a rectifier before them" in message


def test_upsampling_is_not_claimed(feature_map, tmp_path):
    graph, x = feature_map
    (message,) = violations(graph, tmp_path, graph.upsample(x))
    assert "not known to be accepted" in message
