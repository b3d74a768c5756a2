"""The cost model on networks whose cost can be said in a sentence."""

import pytest

from models.can_ids.cost import LUT_PER_MAC, cost
from models.can_ids.features import Encoding
from models.can_ids.recipes import RECIPES
from models.can_ids.topology import Topology


def small(**options) -> Topology:
    return Topology(**{"encoding": Encoding(kind="bits", window=1), "hidden": (16,)} | options)


def test_unrolled_multiply_accumulates_are_in_proportion_to_their_bits():
    bits, more = cost(small()).luts, cost(small(weight_bits=4)).luts
    macs = 75 * 16 * 2 / 4 + 16 * 4 * 4 / 4  # in units of a 2-bit by 2-bit one
    assert LUT_PER_MAC * macs < bits < 1.4 * LUT_PER_MAC * macs
    assert 1.7 < more / bits < 2.1


def test_folding_trades_logic_for_memory_and_cycles():
    topology = RECIPES["published"].topology
    unrolled, folded = cost(topology), cost(topology, lanes=64)
    assert folded.luts < unrolled.luts / 20
    assert (unrolled.memory_bits, folded.memory_bits) == (0, 106_752)
    assert unrolled.cycles == len(topology.hidden) + 1
    assert folded.cycles == 160 + 512 + 128 + 32 + 2


def test_more_of_anything_costs_more():
    base = cost(small()).luts
    for bigger in (
        small(hidden=(17,)),
        small(hidden=(16, 4)),
        small(activation_bits=3),
        small(weight_bits=3),
    ):
        assert cost(bigger).luts > base
    assert cost(small(encoding=Encoding(kind="bits", window=2))).luts == pytest.approx(2 * base, rel=0.3)
