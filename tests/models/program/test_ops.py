"""Shapes, exact ranges and refusals of the operations."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.program import ProgramError, Tensor, ops
from models.program.ops import bits_for, power_of_two_terms

COMMON = {"name": "layer", "inputs": ("x",), "output": "y"}


@pytest.mark.parametrize(
    ("minimum", "maximum", "bits"),
    [
        (0, 0, 1),
        (0, 1, 1),
        (0, 3, 2),
        (0, 4, 3),
        (-1, 0, 1),
        (-1, 1, 2),
        (-2, 1, 2),
        (-128, 127, 8),
        (-129, 0, 9),
        (-3, 8, 5),
    ],
)
def test_bits_for(minimum, maximum, bits):
    assert bits_for(minimum=minimum, maximum=maximum) == bits


def test_power_of_two_terms_is_the_shortest_sum():
    shifts = [1 << power for power in range(8)]
    signed = [0, *shifts, *(-shift for shift in shifts)]
    fewest = {}
    for terms in range(4):
        for parts in product(signed, repeat=terms):
            fewest.setdefault(sum(parts), len([part for part in parts if part]))
    for value in range(-42, 43):
        assert power_of_two_terms(np.array([0, value])) == fewest[value], value


@settings(deadline=None, derandomize=True)
@given(
    weights=st.lists(st.lists(st.integers(-4, 4), min_size=3, max_size=3), min_size=1, max_size=3),
    low=st.integers(-3, 2),
    span=st.integers(0, 3),
)
def test_accumulator_range_is_reached_and_never_left(weights, low, span):
    weights = np.array(weights)
    bias = np.arange(len(weights)) - 1
    op = ops.Dense(weights=weights, bias=bias, **COMMON)
    result = op.result(Tensor("x", (3,), low, low + span))
    sums = [weights @ np.array(x) + bias for x in product(range(low, low + span + 1), repeat=3)]
    assert (result.minimum, result.maximum) == (np.min(sums), np.max(sums))


def test_padding_is_a_zero_among_the_inputs():
    source = Tensor("x", (1, 4, 4), 5, 9)
    weights, bias = np.ones((1, 1, 3, 3), int), np.zeros(1, int)
    bare = ops.Convolution(weights=weights, bias=bias, **COMMON).result(source)
    padded = ops.Convolution(weights=weights, bias=bias, padding=(1, 1, 1, 1), **COMMON).result(source)
    assert (bare.minimum, bare.maximum, bare.shape) == (45, 81, (1, 2, 2))
    assert (padded.minimum, padded.maximum, padded.shape) == (0, 81, (1, 4, 4))


def test_an_accumulator_of_64_bits_is_refused():
    source = Tensor("x", (4,), 0, 2**31)
    fits = ops.Dense(weights=np.full((1, 4), 2**27), bias=np.zeros(1, int), **COMMON)
    assert fits.result(source).bits == 61
    wide = ops.Dense(weights=np.full((1, 4), 2**30), bias=np.zeros(1, int), **COMMON)
    with pytest.raises(ProgramError, match="tensor 'y' needs 64 bits, more than 63; use fewer bits"):
        wide.result(source)


def test_macs_and_weight_bytes():
    op = ops.Convolution(
        weights=np.ones((6, 2, 3, 3), int),
        bias=np.zeros(6, int),
        groups=2,
        stride=(2, 1),
        padding=(1, 1, 1, 1),
        **COMMON,
    )
    result = op.result(Tensor("x", (4, 8, 8), 0, 1))
    assert result.shape == (6, 4, 8)
    assert op.macs(result) == 6 * 2 * 9 * 32
    assert (op.weight_bits, op.weight_bytes, op.terms) == (1, 13.5, 1)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (
            lambda: ops.Dense(weights=np.ones((2, 3), int), bias=np.zeros(2, int), **COMMON),
            (4,),
            "do not fit an input",
        ),
        (
            lambda: ops.Dense(weights=np.ones((2, 4), int), bias=np.zeros(3, int), **COMMON),
            (4,),
            "the bias must have",
        ),
        (
            lambda: ops.Dense(weights=np.ones((2, 4)), bias=np.zeros(2, int), **COMMON),
            (4,),
            "weights must be integers",
        ),
        (
            lambda: ops.Convolution(
                weights=np.ones((3, 1, 1, 1), int), bias=np.zeros(3, int), groups=2, **COMMON
            ),
            (2, 4, 4),
            "in 2 groups do not fit 2 input channels",
        ),
        (
            lambda: ops.MultiThreshold(thresholds=np.array([[2, 1]]), signs=np.ones(1, int), **COMMON),
            (1,),
            "must ascend",
        ),
        (
            lambda: ops.MultiThreshold(thresholds=np.array([[1, 2]]), signs=np.zeros(1, int), **COMMON),
            (1,),
            r"\+1 or -1",
        ),
        (
            lambda: ops.Requantise(
                bias=np.zeros(2, int), shift=np.array([0, 63]), minimum=0, maximum=3, **COMMON
            ),
            (2,),
            "shifts must lie in 0..62",
        ),
        (lambda: ops.Add(**COMMON), (2,), "reads 2 tensors"),
        (
            lambda: ops.MaxPool(kernel=(2, 2), stride=(1, 1), padding=(2, 0, 0, 0), **COMMON),
            (1, 4, 4),
            "smaller than",
        ),
        (lambda: ops.Upsample(factor=(2, 2), **COMMON), (4,), "needs a .channels, height, width. input"),
    ],
)
def test_misfits_are_refused_by_layer(make, shape, message):
    with pytest.raises(ProgramError, match=message) as error:
        make().result(Tensor("x", shape, 0, 3))
    assert "'layer'" in str(error.value)
