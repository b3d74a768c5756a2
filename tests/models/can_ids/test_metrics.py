"""Figures of a confusion matrix small enough to be counted by hand."""

import numpy as np
import pytest

from models.can_ids.frames import Attack
from models.can_ids.metrics import Confusion, area_under_roc, roc

#: The published network's confusion matrix, benign, DoS, fuzzing, spoofing.
PUBLISHED = [[103142, 17, 17, 0], [27, 23666, 0, 0], [78, 0, 28003, 8], [0, 0, 0, 25042]]


def test_the_published_matrix_gives_the_published_figures():
    counts = np.zeros((len(Attack), len(Attack)), np.int64)
    counts[:4, :4] = PUBLISHED
    confusion = Confusion(counts)
    assert (confusion.rows, confusion.wrong) == (180_000, 147)
    assert confusion.false_positive_rate == pytest.approx(0.0003, abs=5e-5)
    expected = {Attack.DOS: 0.9990, Attack.FUZZING: 0.9981, Attack.SPOOFING: 0.9998}
    assert {one: confusion.of_class(one).f1 for one in confusion.attacks()} == pytest.approx(
        expected, abs=1e-4
    )
    assert confusion.f1_min() == confusion.of_class(Attack.FUZZING).f1
    assert confusion.false_alarms_per_hour == pytest.approx(34 / 103_176 * 1950 * 3600)


def test_counts_come_from_pairs_and_add_up():
    truth, judged = np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 2, 0])
    confusion = Confusion.of(truth, judged)
    assert confusion.counts[:3, :3].tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert (confusion + confusion).wrong == 4
    assert confusion.detection_rate == pytest.approx(2 / 3)


def test_naming_the_wrong_attack_is_a_detection_but_not_right():
    confusion = Confusion.of(np.array([1, 1]), np.array([2, 1]))
    assert (confusion.detection_rate, confusion.accuracy) == (1.0, 0.5)


def test_the_area_under_the_roc_is_the_chance_to_rank_an_attack_higher():
    random = np.random.default_rng(4)
    benign, attack = random.integers(0, 20, 300), random.integers(5, 25, 200)
    margin = np.concatenate([benign, attack])
    attacked = np.arange(500) >= 300
    higher = (attack[:, None] > benign).mean() + (attack[:, None] == benign).mean() / 2
    assert area_under_roc(margin, attacked) == pytest.approx(higher)
    false_alarms, detections = roc(margin, attacked)
    assert (false_alarms[-1], detections[-1]) == (1.0, 1.0)
