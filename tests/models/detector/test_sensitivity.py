"""The sensitivity report on a network whose sensitive layers are known: all others are rounded already."""

import numpy as np
import pytest
import torch

from models.detector.cost import cost_of, resized
from models.detector.network import Network
from models.detector.recipes import RECIPES
from models.detector.scenes import generated_scenes
from models.detector.sensitivity import ACTIVATION_BITS, SHARES, layer_sensitivity, variants
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


def test_a_layer_that_is_rounded_already_is_not_sensitive(detector):
    moved = layer_sensitivity(detector, generated_scenes(2), side=64)
    assert set(moved) == {node.name for node in yolox_nano().weighted}
    assert {name for name, error in moved.items() if error > 1e-12} == ROUGH


def test_variants_grow_coarser_and_cheaper(detector):
    moved = layer_sensitivity(detector, generated_scenes(2), side=64)
    points = variants(detector, generated_scenes(2), moved, side=64)
    layers = len(moved)
    coarser, shallower = points[: len(SHARES)], points[len(SHARES) :]
    assert [one.one_digit_layers for one in coarser] == [round(share * layers) for share in SHARES]
    cycles = [one.lane_cycles for one in coarser]
    assert cycles[0] == cost_of(resized(detector.program, (512, 512))).lane_cycles
    assert cycles == sorted(cycles, reverse=True)
    assert [one.activation_bits for one in shallower] == list(ACTIVATION_BITS)
    assert all(0 <= one.precision <= 100 for one in points)
