"""The detector campaign on a network of the detector's make-up, small enough for the smallest engine."""

import numpy as np
import pytest

from models.program import Output, Program, Quantiser, ops
from sim.campaigns import tile_detector
from sim.campaigns.tile_detector import run_detector

pytestmark = pytest.mark.usefixtures("event_loop_of_pynq")


def network() -> Program:
    rng = np.random.default_rng(0)

    def conv(name: str, source: str, shape, *, groups: int = 1, stride: int = 1) -> ops.Convolution:
        pad = shape[-1] // 2
        return ops.Convolution(
            name=name, inputs=(source,), output=f"{name}_sum", weights=rng.choice([-5, -1, 0, 2, 9], shape),
            bias=rng.integers(-99, 99, shape[0]), groups=groups, stride=(stride, stride), padding=(pad,) * 4,
        )  # fmt: skip

    def quant(source: str, output: str, channels: int, shift: int) -> ops.Requantise:
        return ops.Requantise(
            name=f"{output}_quant", inputs=(source,), output=output, bias=np.zeros(channels, int),
            shift=np.full(channels, shift), minimum=0, maximum=255,
        )  # fmt: skip

    layers = (
        conv("stem", "image", (16, 12, 3, 3)), quant("stem_sum", "stem_map", 16, 6),
        conv("depth", "stem_map", (16, 1, 3, 3), groups=16), quant("depth_sum", "depth_map", 16, 4),
        ops.Add(name="join", inputs=("stem_map", "depth_map"), output="join_sum"),
        quant("join_sum", "join_map", 16, 2),  # too far to be made on the way out of `depth`
        ops.MaxPool(
            name="pool", inputs=("join_map",), output="pooled", kernel=(5, 5), stride=(1, 1),
            padding=(2, 2, 2, 2),
        ),
        conv("head", "pooled", (7, 16, 1, 1)),
    )  # fmt: skip
    output = Output(tensor="head_sum", shape=(7, 8, 8))
    return Program(
        name="little", input="image", input_shape=(12, 8, 8), quantiser=Quantiser(signed=False), ops=layers,
        outputs=(output,),
    )  # fmt: skip


@pytest.fixture
def pictures():
    return np.random.default_rng(1).integers(0, 256, (2, 12, 8, 8))


def test_every_layer_is_accounted_for(pictures):
    run = run_detector(network(), "sim", pictures)
    assert (run.pictures, run.elements, run.mismatches) == (2, 2 * 7 * 8 * 8, 0)
    assert [layer.foreseen for layer in run.layers] == [layer.cycles for layer in run.layers]
    assert run.model_error_max == 0
    kinds = {layer.name: layer.kind for layer in run.layers}
    names = ("stem", "depth", "join", "pool")
    assert [kinds[name] for name in names] == ["dense", "depthwise", "add", "pool"]
    stem = run.layers[0]
    # Weights up to 9 take two digits; 12 input channels take two blocks of 8, 16 outputs two; a pixel lane
    # walks half of the 64 places.
    assert stem.products == 2 * stem.macs == 2 * 16 * 12 * 9 * 64
    assert stem.busy == 9 * 2 * 2 * 2 * 64 // 2
    assert stem.use(run.preset.lanes) == stem.products / 128 / stem.cycles
    # Nine taps on eight lanes take two beats a digit; of those lanes, one works in the second.
    depth = run.layers[1]
    assert depth.busy == 2 * 2 * 2 * 64 // 2
    assert run.lanes_working("depthwise") == 9 / 16
    assert run.cycles == sum(layer.cycles for layer in run.layers)
    assert sum(run.share(kind) for kind in set(kinds.values())) == pytest.approx(1)
    assert run.frames_per_second(100) == 100e6 / run.cycles
    # Maps stay on chip but for the last, of which rows that wait in their slots leave when its layer is over.
    assert stem.write_bytes == depth.write_bytes == 0
    written, passes = sum(layer.write_bytes for layer in run.layers), len(run.layers) - 4
    assert passes * 8 * 64 - run.preset.row_slots * 8 * 8 <= written <= passes * 8 * 64
    # A picture of two planes is read once, and weights.
    assert run.memory_bytes - written > 2 * 8 * 64


def test_wrong_elements_are_counted(pictures, monkeypatch):
    golden = tile_detector.run
    monkeypatch.setattr(tile_detector, "run", lambda *given: [one + 1 for one in golden(*given)])
    assert run_detector(network(), "sim", pictures).mismatches == 2 * 7 * 8 * 8
