"""QONNX executor and integer program give the same integers, on random networks of every kind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.program import integer_logits, load, run
from models.program.compare import run_qonnx

ONE_AFTER_ANOTHER = settings(max_examples=80, deadline=None, derandomize=True)


def assert_equal(path, samples, seed, style):
    program = load(path, style=style)
    rng = np.random.default_rng(seed)
    low, high = program.quantiser.minimum - 2, program.quantiser.maximum + 3  # the clamps as well
    integers = rng.integers(low, high, (samples, *program.input_shape)) + program.quantiser.zero
    noise = rng.choice([0, 0, 0.5, -0.5, 0.3], integers.shape)  # ties of the input quantiser
    values = ((integers - program.quantiser.zero + noise) * program.quantiser.scale).astype(np.float32)
    expected = run_qonnx(path, values)
    got = run(program, program.quantiser.quantise(values))
    for output, floats, result in zip(program.outputs, expected, got, strict=True):
        np.testing.assert_array_equal(integer_logits(output, floats), result)
        # The programs must have something to disagree about.
        assert np.isfinite(floats).all()
    return got


@ONE_AFTER_ANOTHER
@given(
    seed=st.integers(0, 2**32 - 1),
    widths=st.lists(st.integers(1, 24), min_size=1, max_size=4),
    bits=st.integers(1, 8),
    signed=st.booleans(),
    zero=st.sampled_from([0, 0, 1, 3]),
    activation_bits=st.integers(1, 4),
    weight_bits=st.integers(2, 5),
    powers=st.booleans(),
    normalised=st.booleans(),
    style=st.sampled_from(["auto", "requantise", "thresholds"]),
)
def test_mlps(
    net,
    tmp_path_factory,
    seed,
    widths,
    bits,
    signed,
    zero,
    activation_bits,
    weight_bits,
    powers,
    normalised,
    style,
):
    graph = net((13,), seed=seed)
    signed = signed and bits > 1
    x = graph.input(bits=bits, signed=signed, zero=float(zero), scale=0.5)
    for width in widths:
        x = graph.dense(x, width, bits=weight_bits, powers=powers)
        if normalised:
            x = graph.batch_norm(x)
        x = graph.activation(x, bits=activation_bits)
    path = tmp_path_factory.mktemp("mlp") / "net.onnx"
    graph.save(path, graph.dense(x, 4))
    assert_equal(path, 64, seed, style)


@ONE_AFTER_ANOTHER
@given(
    seed=st.integers(0, 2**32 - 1),
    blocks=st.lists(
        st.sampled_from(
            [
                "conv",
                "biased",
                "shift",
                "depthwise",
                "grouped",
                "strided",
                "pool",
                "residual",
                "concat",
                "upsample",
            ]
        ),
        min_size=1,
        max_size=4,
    ),
    normalised=st.booleans(),
    signed=st.booleans(),
    style=st.sampled_from(["auto", "requantise", "thresholds"]),
)
def test_convolutional_networks(net, tmp_path_factory, seed, blocks, normalised, signed, style):
    graph = net((2, 9, 7), seed=seed)
    rng = graph.rng
    bits, scale = int(rng.integers(2, 9)), 0.25

    def quantise(x):
        if normalised:
            x = graph.batch_norm(x)
        if signed:
            return graph.quant(x, scale=scale, bits=bits, signed=True)
        return graph.activation(x, bits=bits, scale=scale)

    x = quantise(graph.conv(graph.input(bits=8, scale=0.125), 4))
    for block in blocks:
        channels, height, _ = graph.shapes[x]
        if block == "conv":
            x = quantise(
                graph.conv(
                    x,
                    int(rng.integers(1, 7)) * 2,
                    kernel=int(rng.choice([1, 3])),
                    padding=int(rng.integers(0, 2)),
                )
                if height > 3
                else x
            )
        elif block == "biased":
            x = quantise(graph.conv(x, 4, bias=rng.integers(-9, 10, 4) / 16 + rng.choice([0, 0.01])))
        elif block == "shift":
            x = quantise(graph.conv(x, 4, bits=5, powers=True))
        elif block == "depthwise":
            x = quantise(graph.conv(x, channels, groups=channels, bits=4))
        elif block == "grouped":
            x = quantise(graph.conv(x, 6, groups=2))
        elif block == "strided":
            x = quantise(graph.conv(x, 4, stride=2))
        elif block == "pool":
            x = graph.pool(x, kernel=int(rng.integers(2, 4)), stride=int(rng.integers(1, 3)), padding=1)
        elif block == "residual":
            x = quantise(graph.add(x, quantise(graph.conv(x, channels))))
        elif block == "concat":
            x = graph.concat(x, quantise(graph.conv(x, 2)), x)
        elif height < 20:
            x = graph.upsample(x)
    path = tmp_path_factory.mktemp("conv") / "net.onnx"
    graph.save(path, graph.dense(graph.flatten(x), 3, bits=3), x)
    assert_equal(path, 6, seed, style)


@pytest.mark.parametrize("rounding", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
def test_every_rounding_mode(net, tmp_path, rounding):
    graph = net((8,), seed=3)
    x = graph.dense(graph.input(bits=6), 8, bits=4)
    x = graph.quant(x, scale=2.0, bits=5, signed=True, rounding=rounding)
    assert_equal(graph.save(tmp_path / "net.onnx", x), 200, 4, "auto")


def test_bipolar_activations(net, tmp_path):
    graph = net((8,), seed=5)
    hidden = graph.batch_norm(graph.dense(graph.input(bits=4), 6))
    signs = graph.node("BipolarQuant", [hidden, graph.constant(1.0)], (6,), domain="qonnx.custom_op.general")
    assert_equal(graph.save(tmp_path / "net.onnx", graph.dense(signs, 3)), 200, 6, "auto")


def test_an_output_with_a_scale_and_offset_a_channel(net, tmp_path):
    graph = net((8,), seed=7)
    hidden = graph.activation(graph.dense(graph.input(bits=4), 6))
    assert_equal(graph.save(tmp_path / "net.onnx", graph.batch_norm(graph.dense(hidden, 3))), 200, 8, "auto")


def test_ties_go_to_the_lowest_index(net, tmp_path):
    graph = net((3,), seed=0)
    weights = graph.quant(graph.constant(np.ones((3, 5))), scale=1.0, bits=2, signed=True, shape=(3, 5))
    logits = graph.node("MatMul", [graph.input(bits=4), weights], (5,))
    index = graph.node("ArgMax", [logits], (1,), axis=1)
    program = load(graph.save(tmp_path / "net.onnx", index))
    assert program.tensors[program.outputs[0].tensor].maximum == 4
    (got,) = run(program, np.random.default_rng(1).integers(-8, 8, (50, 3)))
    assert (got == 0).all()
