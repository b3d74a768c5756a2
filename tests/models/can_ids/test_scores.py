"""Margins, calibration and thresholds on scores whose distribution is known."""

import numpy as np
import pytest

from models.can_ids.scores import (
    FRAMES_PER_HOUR,
    Calibration,
    calibrate,
    calibration_error,
    margins,
    verdicts,
)


def test_ties_go_to_the_lowest_index_as_in_argmax():
    random = np.random.default_rng(1)
    logits = random.integers(-2, 3, (5000, 4))
    assert verdicts(logits).tolist() == logits.argmax(axis=1).tolist()
    assert verdicts(np.array([[2, 2, 2, 2], [1, 2, 2, 0]])).tolist() == [0, 1]


def test_a_threshold_turns_weak_alarms_into_benign():
    logits = np.array([[0, 3, 1], [0, 1, 5], [4, 0, 0]])
    assert margins(logits).tolist() == [3, 5, -4]
    assert verdicts(logits, threshold=4).tolist() == [0, 2, 0]


def test_calibration_recovers_the_odds_that_made_the_labels():
    random = np.random.default_rng(2)
    margin = random.integers(-30, 31, 40_000)
    chance = 1 / (1 + np.exp(-(0.2 * margin + 1.0)))
    attacked = random.random(len(margin)) < chance
    logits = np.stack([np.zeros_like(margin), margin], axis=1)
    fit = calibrate(logits, attacked, logits[~attacked])
    assert fit.slope == pytest.approx(0.2, abs=0.01)
    assert fit.intercept == pytest.approx(1.0, abs=0.05)
    assert calibration_error(fit.probability(margin), attacked) < 0.01


def test_the_threshold_continues_an_exponential_tail_to_one_alarm_an_hour():
    random = np.random.default_rng(3)
    benign = np.floor(random.exponential(3.0, 200_000)).astype(np.int64) - 20
    logits = np.stack([np.zeros_like(benign), benign], axis=1)
    attacked = np.append(np.zeros(len(benign), bool), True)
    fit = calibrate(np.concatenate([logits, [[0, 99]]]), attacked, logits)
    expected = 3.0 * np.log(FRAMES_PER_HOUR) - 20
    assert fit.threshold == pytest.approx(expected, abs=4)
    assert fit.threshold > benign.max()
    assert fit.benign_rows == len(benign)


def test_separable_scores_calibrate_to_finite_odds():
    logits = np.array([[5, 0]] * 50 + [[0, 5]] * 50)
    fit = calibrate(logits, np.repeat([False, True], 50), logits[:50])
    assert np.isfinite([fit.slope, fit.intercept]).all()
    assert fit.threshold == 1


def test_calibration_error_is_the_gap_of_probability_and_frequency():
    assert calibration_error(np.full(100, 0.9), np.arange(100) < 60) == pytest.approx(0.3)
    assert Calibration(slope=1, intercept=0, threshold=1, benign_rows=0).probability(np.array([0])) == [0.5]


def test_disturbed_frames_raise_the_threshold_and_nothing_else():
    logits = np.array([[5, 0]] * 50 + [[0, 5]] * 50)
    attacked = np.repeat([False, True], 50)
    calm, disturbed = (calibrate(logits, attacked, np.array([[5, margin + 5]])) for margin in (-2, 7))
    assert (calm.threshold, disturbed.threshold) == (1, 8)
    assert calibrate(logits, attacked) == calm
    assert (calm.slope, calm.intercept) == (disturbed.slope, disturbed.intercept)
