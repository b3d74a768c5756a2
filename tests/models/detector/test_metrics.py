"""Mean average precision against an implementation written another way, and against values known by hand."""

import numpy as np
import pytest

from models.detector.boxes import Detections
from models.detector.metrics import Truth, average_precision, mean_average_precision


def overlap(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def plain_precision(found, truths, class_, metric, level) -> float:
    """Straight from the definitions, one detection after another, with no numpy."""
    listed = []
    for picture, seen in enumerate(found):
        for box, score, one in zip(
            seen.boxes.tolist(), seen.scores.tolist(), seen.classes.tolist(), strict=True
        ):
            if one == class_:
                listed.append((-score, picture, box))
    listed.sort(key=lambda entry: entry[:2])
    objects = sum(
        1
        for truth in truths
        for one, difficult in zip(truth.classes, truth.difficult, strict=True)
        if one == class_ and not difficult
    )
    if not objects:
        return float("nan")
    claimed, curve, hits, misses = set(), [], 0, 0
    for _, picture, box in listed:
        truth = truths[picture]
        best, place = 0.0, None
        for index, (other, one) in enumerate(zip(truth.boxes.tolist(), truth.classes, strict=True)):
            if one == class_ and overlap(box, other) > best:
                best, place = overlap(box, other), index
        if place is not None and best >= level and truth.difficult[place]:
            continue
        if place is not None and best >= level and (picture, place) not in claimed:
            claimed.add((picture, place))
            hits += 1
        else:
            misses += 1
        curve.append((hits, hits / (hits + misses)))

    def best_from(least_hits) -> float:
        return max((precision for hits, precision in curve if hits >= least_hits), default=0.0)

    if metric == "voc12":
        return sum(best_from(count) for count in range(1, objects + 1)) / objects
    steps = 10 if metric == "voc07" else 100
    return sum(best_from(-(-step * objects // steps)) for step in range(steps + 1)) / (steps + 1)


def random_case(seed):
    """Detections near and far from the objects, several of one object, some objects difficult."""
    random = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(12):
        corner = random.uniform(0, 60, (random.integers(0, 6), 2))
        boxes = np.concatenate([corner, corner + random.uniform(8, 40, corner.shape)], axis=1)
        classes = random.integers(0, 3, len(boxes))
        truths.append(Truth(boxes, classes, random.random(len(boxes)) < 0.2))
        copies = random.integers(0, 3, len(boxes))
        near = boxes.repeat(copies, axis=0) + random.normal(0, 3, (copies.sum(), 4))
        named = np.where(random.random(len(near)) < 0.8, classes.repeat(copies), 0)
        far = random.uniform(0, 50, (3, 2))
        seen = np.concatenate([near, np.concatenate([far, far + 20], axis=1)])
        kinds = np.concatenate([named, random.integers(0, 3, 3)])
        found.append(Detections(seen, random.random(len(seen)), kinds))
    return found, truths


@pytest.mark.parametrize("metric", ["voc07", "voc12", "coco"])
@pytest.mark.parametrize("seed", range(8))
def test_as_another_implementation(metric, seed):
    found, truths = random_case(seed)
    levels = [0.5 + 0.05 * step for step in range(10)] if metric == "coco" else [0.5]
    expected = [
        100 * np.mean([plain_precision(found, truths, one, metric, level) for level in levels])
        for one in range(4)
    ]
    got = mean_average_precision(found, truths, classes=4, metric=metric)
    np.testing.assert_allclose(got.classes, expected, atol=1e-9)
    assert np.isnan(got.classes[3])
    assert 0 < got.mean < 100
    assert got.mean == pytest.approx(np.nanmean(expected))


def test_by_hand():
    # Two objects; right, wrong, right: precision 1 up to recall 1/2, then 2/3.
    right = np.array([True, False, True])
    assert average_precision(right, 2, metric="voc12") == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(right, 2, metric="voc07") == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    assert average_precision(np.zeros(0, bool), 3) == 0.0


def test_a_second_claim_is_wrong_and_a_difficult_object_is_not_asked():
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    twice = Detections(box.repeat(2, axis=0), np.array([0.9, 0.8]), np.array([0, 0]))
    other = Truth(
        np.array([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]]),
        np.array([0, 0]),
        np.array([False, False]),
    )
    assert mean_average_precision([twice], [other], classes=1, metric="voc12").mean == pytest.approx(50.0)
    difficult = Truth(box, np.array([0]), np.array([True]))
    assert np.isnan(mean_average_precision([twice], [difficult], classes=1).mean)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="metric must be 'voc07', 'voc12' or 'coco', not 'voc'"):
        mean_average_precision([], [], classes=1, metric="voc")
    with pytest.raises(ValueError, match="detections of 0 pictures, and truths of 1"):
        mean_average_precision([], [Truth(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))], classes=1)
