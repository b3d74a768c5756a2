"""Digits against plain search: what a few digits can be, and the fewest for a weight."""

from itertools import product

import numpy as np
import pytest

from models.program.digits import DIGITS, digits_needed, levels, split_digits, weight_of


def _sums(count: int) -> set[int]:
    return {
        sum(digit * 4**place for place, digit in enumerate(digits))
        for digits in product((0, 1, -1, 2, -2, 4, -4), repeat=count)
    }


def test_digits_are_shifts():
    assert all(digit == 0 or abs(digit).bit_count() == 1 for digit in DIGITS)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_levels_are_the_sums_of_digits(count):
    assert set(levels(count)) == {value for value in _sums(count) if value >= 0}
    assert list(levels(count)) == sorted(levels(count))


def test_two_digits_make_all_small_weights():
    assert set(range(11)) <= set(levels(2))
    assert 11 not in levels(2)
    assert max(levels(2)) == 20


def test_every_weight_of_eight_bits_is_split_into_the_fewest_digits():
    sums = {count: _sums(count) for count in range(1, 5)}
    for weight in range(-128, 128):
        fewest = next(count for count, values in sums.items() if weight in values)
        digits = split_digits(np.array([[weight]]))
        assert digits.shape == (fewest, 1, 1), weight
        assert digits_needed(np.array([weight])) == fewest, weight
        assert set(digits.ravel().tolist()) <= set(DIGITS)
        assert sum(int(digit) * 4**place for place, digit in enumerate(digits[::-1, 0, 0])) == weight


def test_a_layer_has_as_many_digits_as_its_hardest_weight():
    weights = np.array([[0, 1, -3], [20, 11, 7]])
    digits = split_digits(weights)
    assert digits.shape == (3, 2, 3)
    assert np.array_equal(weight_of(digits), weights)


def test_the_fewest_digits_that_are_not_zero():
    assert np.count_nonzero(split_digits(np.array([16, 11]))[:, 0]) == 1


def test_no_digit_is_no_weight():
    with pytest.raises(ValueError, match="at least one digit, not 0"):
        levels(0)
