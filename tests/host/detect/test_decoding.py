"""Fast preparation and decoding, against the plain one of models.detector.boxes, bit for bit."""

import numpy as np
import pytest

from host.detect.decoding import Decoder, suppressed
from host.detect.preparing import sorted_planes
from models.detector.boxes import Placement, detect, sorted_pixels
from models.program import Output

SHAPE, PLACEMENT = (37, 61), Placement(64 / 61, 0, 0)


def crowded(rng, outputs, *, spread):
    """Maps with many probable cells whose boxes overlap."""
    maps = [rng.integers(-40, 40, output.shape) for output in outputs]
    for one in maps:
        one[4:] = np.clip(rng.normal(20, spread, one[4:].shape), -128, 127)
        one[2:4] = rng.integers(0, 60, one[2:4].shape)
    return maps


def sparse(rng, outputs):
    """Few cells with anything, so that the improbable ones are among the boxes that are kept."""
    maps = crowded(rng, outputs, spread=60)
    for one in maps:
        one[4][rng.random(one[4].shape) < 0.8] = -128
        one[5:][rng.random(one[5:].shape) < 0.9] = -128
    return maps


def real(outputs, maps):
    return tuple(output.dequantise(one[None])[0] for output, one in zip(outputs, maps, strict=True))


def assert_same(found, expected):
    assert found.boxes.tobytes() == expected.boxes.tobytes()
    assert found.scores.tobytes() == expected.scores.tobytes()
    assert np.array_equal(found.classes, expected.classes)


@pytest.mark.parametrize("least_score", [0.005, 0.3, 0.6])
@pytest.mark.parametrize("spread", [10, 60])
def test_boxes_are_those_of_the_plain_decoder(outputs, least_score, spread):
    counts = []
    for seed in range(8):
        maps = crowded(np.random.default_rng(seed), outputs, spread=spread)
        decoder = Decoder(outputs, least_score=least_score)
        found = suppressed(decoder.candidates(maps), PLACEMENT, SHAPE)
        expected = detect(real(outputs, maps), PLACEMENT, SHAPE, least_score=least_score)
        assert_same(found, expected)
        counts.append(len(found))
    assert max(counts) > 0


@pytest.mark.parametrize("least_score", [0.005, 0.05, 0.3])
def test_improbable_boxes_are_those_of_the_plain_decoder(outputs, least_score):
    near = 0
    for seed in range(20):
        maps = sparse(np.random.default_rng(seed), outputs)
        found = suppressed(Decoder(outputs, least_score=least_score).candidates(maps), PLACEMENT, SHAPE)
        assert_same(found, detect(real(outputs, maps), PLACEMENT, SHAPE, least_score=least_score))
        assert len(found) < 100
        near += int((found.scores < least_score + 0.05).sum())
    assert near > 5  # or the threshold was not tried


def test_the_overlap_is_obeyed(outputs):
    maps = crowded(np.random.default_rng(0), outputs, spread=40)
    decoder = Decoder(outputs, least_score=0.1)
    for overlap in (0.2, 0.9):
        found = suppressed(decoder.candidates(maps), PLACEMENT, SHAPE, overlap=overlap)
        assert_same(found, detect(real(outputs, maps), PLACEMENT, SHAPE, least_score=0.1, overlap=overlap))


def test_nothing_seen_is_no_box(outputs):
    maps = [np.full(output.shape, -128, np.int64) for output in outputs]
    found = suppressed(Decoder(outputs, least_score=0.3).candidates(maps), PLACEMENT, SHAPE)
    expected = detect(real(outputs, maps), PLACEMENT, SHAPE)
    assert len(found) == len(expected) == 0
    assert found.boxes.shape == expected.boxes.shape == (0, 4)


def test_scales_and_offsets_of_channels_are_used():
    rng = np.random.default_rng(3)
    channels = Output(
        tensor="a", shape=(25, 8, 8), scale=2.0 ** rng.integers(-5, -3, 25), offset=rng.normal(size=25)
    )
    outputs = (
        channels,
        *(Output(tensor="b", shape=(25, side, side), scale=np.array(1 / 16)) for side in (4, 2)),
    )
    maps = crowded(rng, outputs, spread=40)
    found = suppressed(Decoder(outputs, least_score=0.2).candidates(maps), PLACEMENT, SHAPE)
    assert_same(found, detect(real(outputs, maps), PLACEMENT, SHAPE, least_score=0.2))


@pytest.mark.parametrize("size", [(2, 2), (64, 96), (34, 6)])
def test_planes_are_the_sorted_pixels(size):
    canvas = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    planes = sorted_planes(canvas)
    assert planes.flags.c_contiguous
    assert np.array_equal(planes, sorted_pixels(canvas))


def test_odd_sides_are_refused():
    with pytest.raises(ValueError, match=r"even sides, not \(3, 4\)"):
        sorted_planes(np.zeros((3, 4, 3), np.uint8))
