"""Shared sums give the same numbers with fewer additions."""

import numpy as np
import pytest

from hw.arith.shared_sums import share


@pytest.mark.parametrize("depth_max", [0, 1, 2, None])
@pytest.mark.parametrize("seed", range(4))
def test_sums_stay_the_same(seed, depth_max):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-1, 2, (rng.integers(1, 14), rng.integers(1, 14)))
    plan = share(weights.tolist(), depth_max=depth_max)
    values = rng.integers(-99, 99, weights.shape[1])
    assert plan.compute(values.tolist()) == (weights @ values).tolist()
    assert plan.additions <= sum(max(0, n - 1) for n in np.count_nonzero(weights, axis=1))
    depth = [0] * plan.inputs
    for pair in plan.pairs:
        depth.append(1 + max(depth[pair.first], depth[pair.second]))
    assert max(depth) <= (100 if depth_max is None else depth_max)


def test_what_is_common_up_to_the_sign_is_added_once():
    plan = share([[1, -1, 1, 0], [-1, 1, 0, 1], [1, -1, 0, 0]])
    assert plan.additions == 3  # x0 - x1, and one more in each of two sums


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="weights must be -1, 0 or 1"):
        share([[1, 2]])
