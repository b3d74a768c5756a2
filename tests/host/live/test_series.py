"""Sums by the second and times by bins, against plain arithmetic."""

import numpy as np
import pytest

from host.live.series import Latencies, PerSecond


def test_only_full_seconds_are_told():
    series = PerSecond(("frames",), seconds=3)
    series.advance(10.2)
    series.add(frames=5)
    assert series.columns() == {"frames": []}
    assert series.last("frames") == 0
    series.advance(11.0)
    series.add(frames=2)
    assert series.columns() == {"frames": [5]}
    assert series.last("frames") == 5


def test_quiet_seconds_count_as_nothing_and_old_ones_are_forgotten():
    series = PerSecond(("frames", "bits"), seconds=3)
    series.advance(0)
    series.add(frames=1, bits=100)
    series.advance(2.5)
    assert series.columns() == {"frames": [1, 0], "bits": [100, 0]}
    series.add(frames=7)
    series.advance(4)
    assert series.columns()["frames"] == [0, 7, 0]
    series.advance(1e9)
    assert series.columns()["frames"] == [0, 0, 0]


def test_time_that_goes_back_changes_nothing():
    series = PerSecond(("frames",))
    series.advance(5)
    series.add(frames=1)
    series.advance(3)
    series.add(frames=1)
    series.advance(6)
    assert series.columns()["frames"] == [2]


def test_times_fall_into_bins_that_double():
    latencies = Latencies(least_s=0.001, bins=4)
    latencies.add(np.array([0.0, 0.0009, 0.001, 0.0019, 0.002, 0.1, np.nan]))
    told = latencies.described()
    assert told["edges_ms"] == [1, 2, 4]
    assert told["counts"] == [2, 2, 1, 1]
    assert told["most_ms"] == pytest.approx(100)


def test_quantiles_are_bounds_that_hold():
    rng = np.random.default_rng(3)
    times = rng.gamma(2.0, 0.01, 5000)
    latencies = Latencies()
    latencies.add(times)
    for share in (0.5, 0.9, 0.99, 1.0):
        bound = latencies.quantile_s(share)
        assert np.mean(times <= bound) >= share
        assert bound <= max(2 * np.quantile(times, share), 0.0005)


def test_without_times_everything_is_nothing():
    latencies = Latencies()
    latencies.add(np.zeros(0))
    assert latencies.described()["median_ms"] == 0
