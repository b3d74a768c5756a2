"""Fixtures of the tile engine's tests."""

import numpy as np
import pytest


@pytest.fixture
def depthwise_digits():
    """Digits of `count` a weight of a layer whose outputs see their own channel, lying in lane `shift` on."""

    def make(*, count=1, channels=8, planes=1, kernel=(3, 3), shift=0, seed=0):
        rng = np.random.default_rng(seed)
        digits = np.zeros((count, channels, 8 * planes, *kernel), np.int64)
        for o in range(channels):
            digits[:, o, o + shift] = rng.choice([1, -1, 2, -2, 4, -4], (count, *kernel))
        return digits

    return make
