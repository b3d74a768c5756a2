"""A first layer of three channels: right however it is padded, and in a fraction of the cycles."""

import numpy as np
import pytest

from host.tile import TileBinary
from hw.tile.compile import compile_program
from hw.tile.folding import folding_of
from hw.tile.preset import preset
from models.program import Output, Program, Quantiser, ops, run
from sim.board import MemoryModel
from sim.campaigns.tile import TileBench

SIM = preset("sim")
CHANNELS, OUTPUTS = 3, 16


@pytest.fixture(scope="module")
def bench(event_loop_of_pynq):
    with TileBench() as bench:
        yield bench


@pytest.fixture
def unfolded(monkeypatch):
    """Makes the compiler leave each word a pixel."""
    none = lambda digits, *shape: folding_of(None, *shape)  # noqa: E731
    return lambda: monkeypatch.setattr("hw.tile.lower.folding_of", none)


def first_layer(
    kernel: int, *, side: int, stride: int = 1, signed: bool = False, doubled: bool = False
) -> Program:
    """One digit a weight, padded so that every pixel is the middle of a window."""
    rng, pad = np.random.default_rng(kernel), kernel // 2
    seen = 2 * side if doubled else side
    out = (seen + 2 * pad - kernel) // stride + 1
    up = (ops.Upsample(name="up", inputs=("image",), output="up", factor=(2, 2)),) if doubled else ()
    made = (
        ops.Convolution(
            name="first", inputs=("up" if doubled else "image",), output="sum",
            weights=rng.choice([1, -1, 2, -2, 4, -4], (OUTPUTS, CHANNELS, kernel, kernel)),
            bias=rng.integers(-500, 500, OUTPUTS), stride=(stride, stride), padding=(pad,) * 4,
        ),
        ops.Requantise(
            name="quant", inputs=("sum",), output="map", bias=np.zeros(OUTPUTS, int),
            shift=np.full(OUTPUTS, 5), minimum=-128, maximum=127,
        ),
    )  # fmt: skip
    return Program(
        name="first", input="image", input_shape=(CHANNELS, side, side), quantiser=Quantiser(signed=signed),
        ops=up + made, outputs=(Output(tensor="map", shape=(OUTPUTS, out, out)),),
    )  # fmt: skip


def sample_of(program: Program) -> np.ndarray:
    source = program.tensors[program.input]
    return np.random.default_rng(1).integers(source.minimum, source.maximum + 1, program.input_shape)


def measured(bench: TileBench, program: Program) -> dict:
    """The profile of the only layer, whose outputs are right and whose cycles were foreseen."""
    bench.board.memory = MemoryModel(latency=40)
    bench.engine.load(TileBinary.parse(compile_program(program, "sim").binary))
    sample = sample_of(program)
    assert (bench.engine.run(sample)[0] == run(program, sample[None])[0][0]).all()
    (row,) = bench.engine.profile()
    assert row["predicted"] == pytest.approx(row["cycles"], rel=0.02)
    return row


@pytest.mark.parametrize(("kernel", "stride", "words"), [(3, 1, 2), (7, 2, 4)])
def test_beats_shrink_to_the_words_that_a_row_of_the_kernel_takes(bench, unfolded, kernel, stride, words):
    side = 64
    program = first_layer(kernel, side=side, stride=stride)
    folded = measured(bench, program)
    unfolded()
    plain = measured(bench, program)
    sums = (side // stride) ** 2 // SIM.pixels * (OUTPUTS // SIM.channels)
    assert folded["busy"] == sums * kernel * words
    assert plain["busy"] == sums * kernel * kernel
    assert folded["cycles"] < plain["cycles"] * (words / kernel + 0.03)  # which wait for first rows alike
    assert folded["read_beats"] < plain["read_beats"]  # fewer weights, and the same pixels


@pytest.mark.parametrize(("kernel", "stride", "words"), [(3, 1, 1), (7, 2, 2)])
def test_on_16_lanes_a_row_of_the_kernel_takes_a_word_or_two(unfolded, kernel, stride, words):
    side, engine = 128, preset("z7020")
    program = first_layer(kernel, side=side, stride=stride)
    sums = (side // stride) ** 2 // engine.pixels
    assert compile_program(program, engine).costs[0].beats == sums * kernel * words
    unfolded()
    assert compile_program(program, engine).costs[0].beats == sums * kernel * kernel


@pytest.mark.parametrize("kernel", [2, 3, 5])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("doubled", [False, True])
def test_whatever_the_map_is(bench, kernel, signed, doubled):
    program = first_layer(kernel, side=13, signed=signed, doubled=doubled)
    assert compile_program(program, "sim").costs[0].folded == 2
    bench.board.memory = MemoryModel(latency=20, stalls=0.3, seed=kernel)
    assert bench.mismatches(program, sample_of(program)) == 0
