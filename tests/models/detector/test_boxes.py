"""From pictures to pixels and from maps to boxes: each checked against what the words say, cell by cell."""

import math

import numpy as np
import pytest

from models.detector.boxes import (
    Detections,
    Placement,
    decode,
    detect,
    letterbox,
    overlaps,
    sorted_pixels,
    suppress,
)


def empty_maps(side=64, classes=3):
    maps = [np.zeros((5 + classes, side // stride, side // stride)) for stride in (8, 16, 32)]
    for values in maps:
        values[4:] = -20
    return maps


def test_pixels_are_sorted_by_corner():
    canvas = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    sorted_ = sorted_pixels(canvas)
    assert sorted_.shape == (12, 2, 3)
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    for index, (down, right) in enumerate(corners):
        for channel in range(3):
            for row in range(2):
                for column in range(3):
                    expected = canvas[2 * row + down, 2 * column + right, channel]
                    assert sorted_[3 * index + channel, row, column] == expected
    assert np.array_equal(sorted_pixels(np.stack([canvas, canvas]))[1], sorted_)
    with pytest.raises(ValueError, match=r"even sides, not \(5, 6\)"):
        sorted_pixels(np.zeros((5, 6, 3), np.uint8))


@pytest.mark.parametrize(("shape", "scale"), [((50, 100), 0.64), ((128, 32), 0.5), ((10, 10), 6.4)])
def test_a_letterbox_keeps_the_proportions(shape, scale):
    canvas, placement = letterbox(np.full((*shape, 3), 7, np.uint8), (64, 64))
    assert placement == Placement(scale, 0, 0)
    height, width = (round(length * scale) for length in shape)
    assert (canvas[:height, :width] == 7).all()
    assert (canvas[height:] == 114).all()
    assert (canvas[:, width:] == 114).all()


def test_a_cell_says_where_its_box_is():
    maps = empty_maps()
    # 16-pixel cells: the centre is half a cell right of the corner of (row 1, column 2), 32 wide, 16 high.
    maps[1][:, 1, 2] = [1.0, 0.0, 2 * math.log(2), 0.0, 20, -20, 20, -20]
    boxes, scores = decode(tuple(maps))
    assert boxes.shape == (64 + 16 + 4, 4)
    row = 64 + 1 * 4 + 2
    np.testing.assert_allclose(boxes[row], [40 - 16, 16 - 8, 40 + 16, 16 + 8])
    np.testing.assert_allclose(scores[row], [0, 1, 0], atol=1e-8)
    assert (np.delete(scores, row, axis=0) < 1e-8).all()


def test_detections_are_in_the_pictures_own_pixels_and_inside():
    maps = empty_maps()
    maps[2][:, 0, 0] = [0, 0, 0, 0, 5, 5, -20, -20]
    found = detect(tuple(maps), Placement(0.5, 0, 0), (40, 100))
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes, [[0, 0, 32, 32]])
    assert found.classes.tolist() == [0]
    assert found.scores[0] == pytest.approx((1 / (1 + math.exp(-5))) ** 2)
    assert len(detect(tuple(empty_maps()), Placement(1.0, 0, 0), (64, 64))) == 0


def test_overlaps_by_hand():
    one = np.array([[0, 0, 2, 2], [5, 5, 5, 5]], float)
    other = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [10, 10, 12, 12], [5, 5, 5, 5]], float)
    np.testing.assert_allclose(overlaps(one, other), [[1 / 7, 1, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("seed", range(5))
def test_suppression_as_one_by_one(seed):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 40, (60, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 40, (60, 2))], axis=1)
    found = Detections(boxes, random.random(60), random.integers(0, 3, 60))
    kept: list[int] = []
    for row in np.argsort(-found.scores):
        same = [other for other in kept if found.classes[other] == found.classes[row]]
        if all(overlaps(boxes[[row]], boxes[[other]])[0, 0] <= 0.4 for other in same):
            kept.append(int(row))
    assert suppress(found, threshold=0.4).tolist() == kept
    assert 3 < len(kept) < 60
