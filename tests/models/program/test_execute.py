"""The executor's kernels against Python integers, in each of the three number types they choose from."""

from fractions import Fraction

import numpy as np
import pytest

from models.program import Output, Program, Quantiser, ops, run, trace
from models.program.execute import BLOCK_BYTES

SIZES = {"float32": 4, "float64": 16, "int64": 28}  # input bits that lead to each type


def program_of(*operations, shape, bits=8, signed=True):
    last = operations[-1]
    probe = Program(
        name="probe",
        input="x",
        input_shape=shape,
        quantiser=Quantiser(bits=bits, signed=signed),
        ops=operations,
        outputs=(Output(tensor=last.output, shape=()),),
    )
    output = Output(tensor=last.output, shape=probe.tensors[last.output].shape)
    return Program(
        name="test",
        input="x",
        input_shape=shape,
        quantiser=probe.quantiser,
        ops=operations,
        outputs=(output,),
    )


def samples(program, count, seed=0):
    low, high = program.quantiser.minimum, program.quantiser.maximum
    rng = np.random.default_rng(seed)
    x = rng.integers(low, high + 1, (count, *program.input_shape))
    x[0], x[1] = low, high
    return x


@pytest.mark.parametrize("bits", SIZES.values(), ids=SIZES)
def test_dense(bits):
    rng = np.random.default_rng(bits)
    weights, bias = rng.integers(-(2**bits), 2**bits, (5, 7)), rng.integers(-99, 99, 5)
    program = program_of(
        ops.Dense(name="d", inputs=("x",), output="y", weights=weights, bias=bias), shape=(7,), bits=bits
    )
    x = samples(program, 20)
    (got,) = run(program, x)
    expected = [
        [
            sum(int(w) * int(v) for w, v in zip(row, s, strict=True)) + int(b)
            for row, b in zip(weights, bias, strict=True)
        ]
        for s in x
    ]
    assert got.tolist() == expected


@pytest.mark.parametrize("strip_bytes", [1, 8 << 20], ids=["strips", "whole"])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("bits", SIZES.values(), ids=SIZES)
def test_convolution(monkeypatch, bits, groups, strip_bytes):
    monkeypatch.setattr("models.program.execute.COLUMN_BYTES", strip_bytes)
    rng = np.random.default_rng(groups)
    weights, bias = rng.integers(-(2**bits), 2**bits, (8, 4 // groups, 2, 3)), rng.integers(-99, 99, 8)
    op = ops.Convolution(
        name="c",
        inputs=("x",),
        output="y",
        weights=weights,
        bias=bias,
        groups=groups,
        stride=(2, 1),
        padding=(1, 0, 2, 1),
    )
    program = program_of(op, shape=(4, 5, 4), bits=bits)
    x = samples(program, 3)
    (got,) = run(program, x)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1))).astype(object)
    for n, o, i, j in np.ndindex(got.shape):
        first = o // (8 // groups) * (4 // groups)
        seen = padded[n, first : first + 4 // groups, 2 * i : 2 * i + 2, j : j + 3]
        assert got[n, o, i, j] == (seen * weights[o].astype(object)).sum() + int(bias[o])


@pytest.mark.parametrize("levels", [3, 20])
@pytest.mark.parametrize("bits", SIZES.values(), ids=SIZES)
def test_multi_threshold(bits, levels):
    rng = np.random.default_rng(levels)
    reach = 2 ** (bits - 1)
    thresholds = np.sort(rng.integers(-reach - 5, reach + 5, (4, levels)), axis=1)
    thresholds[0, :2] = thresholds[0, 0]  # a skipped level
    signs = np.array([1, -1, 1, -1])
    op = ops.MultiThreshold(
        name="t", inputs=("x",), output="y", thresholds=thresholds, signs=signs, minimum=-2
    )
    program = program_of(op, shape=(4, 2, 2), bits=bits)
    x = samples(program, 9)
    x[2:6, :, 0, 0] = np.clip(thresholds[:, :4].T * signs, -reach, reach - 1)[:4] if levels > 3 else 0
    (got,) = run(program, x)
    for n, c, i, j in np.ndindex(got.shape):
        assert got[n, c, i, j] == -2 + sum(signs[c] * x[n, c, i, j] >= t for t in thresholds[c])


@pytest.mark.parametrize("bits", SIZES.values(), ids=SIZES)
def test_requantise_rounds_half_to_even(bits):
    op = ops.Requantise(
        name="r",
        inputs=("x",),
        output="y",
        bias=np.array([0, 3, -7, 1 << bits]),
        shift=np.array([0, 1, 3, bits]),
        minimum=-(2 ** (bits - 2)),
        maximum=2 ** (bits - 2),
    )
    program = program_of(op, shape=(4,), bits=bits)
    x = np.concatenate([samples(program, 50), np.arange(-8, 8)[:, None].repeat(4, 1)])
    (got,) = run(program, x)
    for n, c in np.ndindex(got.shape):
        exact = Fraction(int(x[n, c]) + int(op.bias[c]), 1 << int(op.shift[c]))
        assert got[n, c] == min(max(round(exact), op.minimum), op.maximum)  # Python rounds half to even


def test_requantise_of_wide_sums_rounds_half_to_even():
    """The integer path, which no float type could take."""
    wide = ops.Dense(name="d", inputs=("x",), output="a", weights=np.array([[2**40]]), bias=np.array([1]))
    op = ops.Requantise(
        name="r",
        inputs=("a",),
        output="y",
        bias=np.array([-1]),
        shift=np.array([41]),
        minimum=-(2**20),
        maximum=2**20,
    )
    program = program_of(wide, op, shape=(1,), bits=16)
    x = np.arange(-9, 10)[:, None]
    assert run(program, x)[0].ravel().tolist() == [round(Fraction(int(v), 2)) for v in x.ravel()]


def test_pool_join_repeat_and_pick():
    pool = ops.MaxPool(
        name="p", inputs=("x",), output="p", kernel=(2, 2), stride=(1, 1), padding=(1, 1, 0, 0)
    )
    double = ops.Add(name="a", inputs=("p", "x"), output="a")
    join = ops.Concat(name="j", inputs=("a", "x"), output="j")
    repeat = ops.Upsample(name="u", inputs=("j",), output="u", factor=(2, 3))
    pick = ops.ArgMax(name="m", inputs=("u",), output="m")
    program = program_of(pool, double, join, repeat, pick, shape=(1, 2, 2))
    x = np.array([[[[-5, -6], [-7, -4]]], [[[1, 1], [1, 1]]]])
    values = trace(program, x)
    assert values["p"][0, 0].tolist() == [[-5, -5], [-5, -4]]  # padding never wins, not even over negatives
    assert values["a"][0, 0].tolist() == [[-10, -11], [-12, -8]]
    assert values["j"].shape == (2, 2, 2, 2)
    assert values["u"][0, 1].tolist() == [[-5] * 3 + [-6] * 3] * 2 + [[-7] * 3 + [-4] * 3] * 2
    # Of the equal greatest the first: -4 at row 2, column 3 of the second channel; 2 everywhere.
    assert values["m"].ravel().tolist() == [24 + 2 * 6 + 3, 0]
    assert run(program, x)[0].ravel().tolist() == values["m"].ravel().tolist()


def test_blocks_of_the_batch_join_up():
    dense = ops.Dense(
        name="d", inputs=("x",), output="y", weights=np.ones((1, 3), int), bias=np.zeros(1, int)
    )
    program = program_of(dense, shape=(3,))
    x = samples(program, BLOCK_BYTES // 12 * 2 + 7)
    np.testing.assert_array_equal(run(program, x.astype(np.int8))[0][:, 0], x.sum(axis=1))
    assert run(program, x[:0])[0].shape == (0, 1)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3), np.float32), "must be integers, not float32; use program.quantiser"),
        (np.zeros((2, 4), int), "must have shape"),
        (np.full((2, 3), 128), "must lie in -128..127, not 128..128"),
    ],
)
def test_wrong_inputs_are_refused(x, message):
    dense = ops.Dense(
        name="d", inputs=("x",), output="y", weights=np.ones((1, 3), int), bias=np.zeros(1, int)
    )
    with pytest.raises(ValueError, match=message):
        run(program_of(dense, shape=(3,)), x)
