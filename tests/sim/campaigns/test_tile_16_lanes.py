"""The campaign on as many input lanes as the boards' presets have: they fold pixels of other sizes."""

import pytest

from hw.tile.preset import preset
from sim.campaigns.tile import TileBench

SIXTEEN = preset("sim").replace(name="sixteen", channels=16)


@pytest.fixture(scope="module")
def bench(event_loop_of_pynq):
    with TileBench(preset=SIXTEEN) as bench:
        yield bench


def test_random_layers(bench):
    assert [bench.check_seed(seed)[1] for seed in range(7000, 7030)] == [0] * 30


def test_random_networks(bench):
    assert [bench.check_seed(seed, network=True)[1] for seed in range(8000, 8010)] == [0] * 10
