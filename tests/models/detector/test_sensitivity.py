"""The sensitivity report on a network whose sensitive layers are known: all others are rounded already."""

import dataclasses

import numpy as np
import pytest
import torch

from models.detector.cost import cost_of, resized
from models.detector.network import Network
from models.detector.recipes import RECIPES
from models.detector.scenes import generated_scenes
from models.detector.sensitivity import ACTIVATION_BITS, SAVINGS, removals, variants, without
from models.detector.shift import shift_values
from models.detector.shipping import ship
from models.detector.topology import yolox_nano
from models.detector.training import Trained

#: The only layers that one digit a weight changes.
ROUGH = {"dark3_c", "out1_class"}


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """Two layers with free weights; those of the others are of one digit in the float model, too."""
    torch.manual_seed(0)
    recipe = RECIPES["generated"].replace(topology=yolox_nano(width=4).with_digits(2), check_side=64)
    network = Network(recipe.topology)
    for node in recipe.topology.weighted:
        layer = network.layer(node.name)
        scale = 1 / 100 if node.inputs[0] == "image" else 1.0
        torch.nn.init.normal_(layer.weight, std=scale * 1.6 / np.sqrt(layer.weight[0].numel()))
        if node.name not in ROUGH:
            layer.weight.data = shift_values(layer.weight.data, digits=1)[0]
    shifted = Network(recipe.topology)
    shifted.load_state_dict(network.state_dict())
    trained = Trained(network.eval(), shifted.eval(), [])
    folder = tmp_path_factory.mktemp("zoo")
    return ship(trained, recipe, folder=folder, size=(64, 64), command="none", source="nothing")


def test_digits_that_are_not_there_go_first(detector):
    removed = removals(detector, generated_scenes(2), side=64)
    assert {one.layer for one in removed if one.moved > 1e-12} == ROUGH
    assert {one.layer for one in removed[-2:]} == ROUGH
    assert all(one.digits == 1 and one.saved > 0 for one in removed)


def test_the_second_digit_of_a_layer_never_goes_before_its_first(detector):
    three = dataclasses.replace(detector, described={**detector.described, "digits": dict.fromkeys(ROUGH, 3)})
    removed = removals(three, generated_scenes(2), side=64)
    assert [one.digits for one in removed if one.layer == "dark3_c"] == [2, 1]
    saving = removed[0].saved
    assert without(removed, saving=saving) == {removed[0].layer: removed[0].digits}
    assert without(removed, saving=saving + 1) != without(removed, saving=saving)
    assert without(removed, saving=10**9)["dark3_c"] == 1


def test_variants_grow_coarser_and_cheaper(detector):
    removed = removals(detector, generated_scenes(2), side=64)
    points = variants(detector, generated_scenes(2), removed, side=64)
    coarser, shallower = points[: len(SAVINGS)], points[len(SAVINGS) :]
    whole = cost_of(resized(detector.program, (512, 512))).lane_cycles
    cycles = [one.lane_cycles for one in coarser]
    assert cycles[0] == whole
    assert cycles == sorted(cycles, reverse=True)
    reachable = whole - sum(one.saved for one in removed)
    for share, saved in zip(SAVINGS, cycles, strict=True):
        assert saved <= max((1 - share) * whole, reachable) + 1
    assert [one.activation_bits for one in shallower] == list(ACTIVATION_BITS)
    assert all(0 <= one.precision <= 100 for one in points)
