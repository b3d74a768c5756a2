"""The sensitivity report on a network whose sensitive layers are known: all others are rounded already."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.detector.cost import cost_of, resized
from models.detector.metrics import Truth
from models.detector.network import Network
from models.detector.pictures import Picture, PictureSet
from models.detector.recipes import RECIPES
from models.detector.scenes import generated_scenes
from models.detector.sensitivity import ACTIVATION_BITS, SAVINGS, removals, suppression, variants, without
from models.detector.shift import shift_values
from models.detector.shipping import ship
from models.detector.topology import yolox_nano
from models.detector.training import Trained

#: The only layers that one digit a weight changes.
ROUGH = {"dark3_c", "out1_class", "out2_box"}


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
    assert {one.layer for one in removed if one.moved > 1e-4} == ROUGH
    assert {one.layer for one in removed[-3:]} == ROUGH
    assert all(one.digits == 1 and one.saved > 0 for one in removed)
    # At 512x512 this layer has 64 x 64 cells and fits the lanes; filters for single channels save nothing.
    assert {one.layer: one.saved for one in removed}["dark3_c"] == 64 * 64
    assert "dark3_m0_dw" not in {one.layer for one in removed}


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


def test_suppression_finds_both_of_two_that_overlap_by_a_half():
    """Two boxes of 32 x 32, 11 pixels apart: 21 / 43 of their union is common to both."""
    boxes = np.array([[8, 8, 40, 40], [19, 8, 51, 40]], float)
    truth = Truth(boxes, np.zeros(2, int), np.zeros(2, bool))
    picture = Picture("two", np.zeros((64, 64, 3), np.uint8), truth)
    maps = [np.full((1, 6, 64 // stride, 64 // stride), -20.0) for stride in (8, 16, 32)]
    for column, (x0, score) in {1: (8, 9.0), 3: (19, 5.0)}.items():
        centre = ((x0 + 16) / 8 - column, (8 + 16) / 8 - 2)
        maps[0][0, :, 2, column] = [*(2 * offset for offset in centre), *[2 * math.log(4)] * 2, score, score]
    detector = SimpleNamespace(classes=("box",), runner=lambda _: lambda _: tuple(maps))
    found = suppression(detector, PictureSet("two boxes", ("two",), lambda _: picture), side=64)
    one_of_two = 100 * 6 / 11  # precision is 1 at recalls of 0, 0.1 .. 0.5
    assert found == pytest.approx({0.35: one_of_two, 0.45: one_of_two, 0.55: 100, 0.65: 100, 0.75: 100})
