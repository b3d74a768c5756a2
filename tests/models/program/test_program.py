"""Programs as values: their order, their identity, and the quantiser at their entrance."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qonnx.custom_op.general.intquant import int_quant

from models.program import Output, Program, ProgramError, Quantiser, integer_logits, load, ops


def dense(name, source, output):
    return ops.Dense(
        name=name, inputs=(source,), output=output, weights=np.eye(2, dtype=int), bias=np.zeros(2, int)
    )


def program(*operations, output="b"):
    return Program(
        name="test",
        input="x",
        input_shape=(2,),
        quantiser=Quantiser(),
        ops=operations,
        outputs=(Output(tensor=output, shape=(2,)),),
    )


def test_operations_must_be_in_order_and_unique():
    program(dense("first", "x", "a"), dense("second", "a", "b"))
    with pytest.raises(ProgramError, match=r"'second' .* reads 'a', which nothing makes before it"):
        program(dense("second", "a", "b"), dense("first", "x", "a"))
    with pytest.raises(ProgramError, match=r"'second' .* makes 'b', which exists already"):
        program(dense("first", "x", "b"), dense("second", "x", "b"))
    with pytest.raises(ProgramError, match="nothing makes the output 'c'"):
        program(dense("first", "x", "b"), output="c")


def test_the_digest_is_of_the_arithmetic_alone():
    first = program(dense("first", "x", "a"), dense("second", "a", "b"))
    renamed = program(dense("other", "x", "t"), dense("names", "t", "b"))
    assert renamed.digest == first.digest
    assert replace(first, name="another").digest == first.digest
    weights = np.array([[1, 0], [0, 2]])
    assert program(dense("first", "x", "a"), replace(first.ops[1], weights=weights)).digest != first.digest
    assert replace(first, quantiser=Quantiser(scale=0.5)).digest != first.digest
    assert program(dense("first", "x", "a"), dense("second", "x", "b")).digest != first.digest


def test_arrays_of_operations_cannot_be_changed():
    weights = np.eye(2, dtype=int)
    op = ops.Dense(name="d", inputs=("x",), output="b", weights=weights, bias=np.zeros(2, int))
    with pytest.raises(ValueError, match="read-only"):
        op.weights[0, 0] = 5
    weights[0, 0] = 5
    assert op.weights[0, 0] == 1


@settings(deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=20),
    scale=st.sampled_from([1.0, 0.5, 0.1, 2.0]),
    zero=st.integers(-3, 3),
    bits=st.integers(1, 8),
    signed=st.booleans(),
    narrow=st.booleans(),
)
def test_quantiser_is_qonnx_quant(values, scale, zero, bits, signed, narrow):
    signed, narrow = signed and bits > 1, narrow and bits > 1
    quantiser = Quantiser(scale=scale, zero=zero, bits=bits, signed=signed, narrow=narrow)
    x = np.array(values + [scale * (0.5 + level) for level in range(-4, 4)], np.float32)
    parameters = (np.float32(scale), np.float32(zero), np.float32(bits))
    expected = int_quant(x, *parameters, signed, narrow, "ROUND")
    np.testing.assert_array_equal(quantiser.quantise(x), np.round(expected / np.float32(scale)))
    assert (
        quantiser.minimum <= quantiser.quantise(x).min() <= quantiser.quantise(x).max() <= quantiser.maximum
    )


def test_integer_logits_undo_dequantise():
    output = Output(
        tensor="y", shape=(3,), scale=np.array([0.3, 0.1, 7.0]), offset=np.array([1.0, -2.0, 0.5])
    )
    integers = np.random.default_rng(0).integers(-1000, 1000, (50, 3))
    np.testing.assert_array_equal(
        integer_logits(output, output.dequantise(integers).astype(np.float32)), integers
    )


def test_loading_twice_gives_the_same_digest(small_mlp):
    assert load(small_mlp).digest == load(small_mlp).digest
