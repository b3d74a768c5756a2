"""Topologies count their weights as the published network does."""

import pytest

from models.can_ids.features import Encoding
from models.can_ids.frames import Attack
from models.can_ids.recipes import RECIPES
from models.can_ids.topology import Topology


def test_the_published_network_has_its_published_size():
    published = RECIPES["published"].topology
    assert published.widths == (40, 256, 128, 64, 32, 4)
    assert published.weights == 53_376
    assert published.weight_storage_bits == 106_752


def test_ours_needs_at_most_a_third_of_its_weight_bits():
    for name in ("ours", "gear"):
        assert 3 * RECIPES[name].topology.weight_storage_bits <= 106_752


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": ()}, "hidden layers"),
        ({"weight_bits": 1}, "weight bits must be 2 to 8"),
        ({"activation_bits": 9}, "activation bits"),
        ({"classes": (Attack.BENIGN, Attack.FUZZING)}, "classes must be the first of"),
    ],
)
def test_impossible_topologies_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Topology(**{"encoding": Encoding(kind="bits", window=1), "hidden": (8,)} | options)
