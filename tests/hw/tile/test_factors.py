import numpy as np

from hw.arith.requantise import Requantise
from hw.tile.factors import without_factors

WIDE = 1 << 40


def rounded(x: np.ndarray, weights, bias, shift) -> list[int]:
    return [Requantise.compute(int(row @ weights), int(bias), int(shift), -WIDE, WIDE) for row in x]


def test_what_comes_out_is_the_same_and_weights_are_smaller():
    rng = np.random.default_rng(5)
    smaller = 0
    for _ in range(400):
        factor, shift = int(rng.integers(0, 7)), int(rng.integers(0, 9))
        weights = rng.integers(-9, 10, (1, 3)) << factor
        bias = np.array([int(rng.integers(-400, 400)) << int(rng.integers(0, 7))])
        found = without_factors(weights, bias, np.array([shift]))
        x = rng.integers(-40, 41, (60, 3))
        assert rounded(x, found[0][0], found[1][0], found[2][0]) == rounded(x, weights[0], bias[0], shift)
        smaller += bool(np.abs(found[0]).max() < np.abs(weights).max())
    assert smaller > 200


def test_ties_stay_ties():
    weights, bias, shift = without_factors(np.array([[8]]), np.array([16]), np.array([5]))
    assert (weights.item(), bias.item(), shift.item()) == (1, 2, 2)
    weights, bias, shift = without_factors(np.array([[8]]), np.array([3]), np.array([5]))
    assert (weights.item(), bias.item(), shift.item()) == (2, 1, 3)


def test_channels_are_reduced_one_by_one_and_empty_ones_left_alone():
    weights, bias, shift = without_factors(
        np.array([[4, 8], [0, 0], [1, 2]]), np.array([4, 5, 6]), np.array([3, 3, 3])
    )
    assert weights.tolist() == [[1, 2], [0, 0], [1, 2]]
    assert bias.tolist() == [1, 5, 6]
    assert shift.tolist() == [1, 3, 3]
