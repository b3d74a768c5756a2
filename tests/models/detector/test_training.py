"""Training: losses, views, that it learns, repeats itself and resumes, and the student's start."""

import dataclasses

import numpy as np
import pytest
import torch

from models.detector.augment import Augmentation, batch_of
from models.detector.boxes import sorted_pixels
from models.detector.losses import distance_to_labels, distance_to_teacher, flat
from models.detector.metrics import Truth
from models.detector.network import Network
from models.detector.recipes import RECIPES, Recipe
from models.detector.scenes import generated_scenes
from models.detector.starting import correct_biases, student_of, weights_path
from models.detector.topology import yolox_nano
from models.detector.training import split_held_out, train

SIDE = 64


def small(**options) -> Recipe:
    defaults = {
        "float_cycles": (4,),
        "shift_steps": 3,
        "batch": 2,
        "check_every": 2,
        "check_pictures": 2,
        "check_side": SIDE,
    }
    views = Augmentation(sides=(SIDE,), mosaic=0.5)
    return dataclasses.replace(RECIPES["generated"], augmentation=views, **defaults | options)


def weights_of(network: Network) -> list[list[float]]:
    return [value.flatten().tolist() for value in network.state_dict().values()]


def pixels_of(count: int, side: int = SIDE) -> torch.Tensor:
    batch = batch_of(generated_scenes(20), Augmentation(sides=(side,)), size=count, seed=3, step=0)
    return torch.from_numpy(sorted_pixels(batch.canvases)).float()


def test_labels_and_pixels_move_together():
    """On noise-free scenes every box still holds its object after scaling, cutting and mirroring."""
    options = Augmentation(sides=(128,), scales=(0.8, 1.5), brightness=0.0, contrast=0.0, mosaic=0.5)
    batch = batch_of(generated_scenes(40), options, size=24, seed=1, step=5)
    checked = 0
    for canvas, truth in zip(batch.canvases, batch.truths, strict=True):
        for box, class_ in zip(truth.boxes, truth.classes, strict=True):
            assert (box >= 0).all()
            assert (box <= 128).all()
            x0, y0, x1, y1 = np.round(box).astype(int)
            if class_ == 6 and min(x1 - x0, y1 - y0) > 8:  # dark boxes fill their frame
                assert canvas[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].mean() < 62
                checked += 1
    assert checked > 10


def test_a_batch_depends_on_seed_and_step_alone():
    scenes, options = generated_scenes(20), Augmentation(sides=(64,))
    one, same, other = (batch_of(scenes, options, size=2, seed=0, step=step) for step in (7, 7, 8))
    assert np.array_equal(one.canvases, same.canvases)
    assert not np.array_equal(one.canvases, other.canvases)


def test_held_out_pictures_never_train():
    training, held_out = split_held_out(generated_scenes(55), 10)
    assert len(held_out) == 6
    assert not set(training.names) & set(held_out.names)
    assert len(training) + len(held_out) == 55


def test_a_perfect_map_costs_less_than_a_wrong_one():
    truth = Truth(np.array([[8.0, 8.0, 40.0, 40.0]]), np.array([2]), np.array([False]))
    maps = [torch.zeros(1, 8, 64 // stride, 64 // stride) for stride in (8, 16, 32)]
    for values in maps:
        values[:, 2:] = -6  # tiny boxes, of nothing
    right, wrong_class, wrong_place, unseen = ([one.clone() for one in maps] for _ in range(4))
    # Two cells of 16 pixels wide around (24, 24): offset 1.5 - column, size ln 2, both doubled.
    for one, class_, shift in ((right, 2, 0.0), (wrong_class, 0, 0.0), (wrong_place, 2, 2.0)):
        one[1][0, :4, 1, 1] = torch.tensor([1.0 + shift, 1.0 + shift, 2 * np.log(2), 2 * np.log(2)])
        one[1][0, 4, 1, 1] = one[1][0, 5 + class_, 1, 1] = 6
    cost = [float(distance_to_labels(one, [truth])) for one in (right, wrong_class, wrong_place, unseen)]
    assert cost[0] < 0.5
    assert all(one > cost[0] + 2 for one in cost[1:])


def test_difficult_objects_neither_attract_nor_repel():
    box, class_ = np.array([[8.0, 8.0, 40.0, 40.0]]), np.array([2])
    maps = [torch.randn(1, 8, 64 // stride, 64 // stride, requires_grad=True) for stride in (8, 16, 32)]
    distance_to_labels(maps, [Truth(box, class_, np.array([True]))]).backward()
    gradient = flat([one.grad for one in maps])[0]
    assert (gradient[:, :4] == 0).all()
    assert 0 < (gradient[:, 4] == 0).sum() <= 10


def test_the_teacher_is_its_own_best_student():
    torch.manual_seed(0)
    maps = [torch.randn(2, 25, 4, 4) for _ in range(3)]
    own = distance_to_teacher(maps, maps)
    for _ in range(5):
        assert distance_to_teacher([one + 0.3 * torch.randn_like(one) for one in maps], maps) > own


def test_training_learns_and_the_stages_are_kept_apart():
    losses: list[float] = []
    recipe = small(float_cycles=(60,), shift_steps=6, batch=4, learning_rate=4e-2, check_every=100)
    result = train(recipe, generated_scenes(30), report=lambda _, loss, __: losses.append(loss))
    assert np.nanmean(losses[50:60]) < 0.93 * np.nanmean(losses[:10])
    assert not result.floating.quantised
    assert result.shifted.quantised
    assert result.curve[0].stage == "float"
    assert result.curve[-1].stage == "shift"
    assert weights_of(result.floating) != weights_of(result.shifted)


def test_the_rate_falls_in_each_cycle_anew():
    recipe = small(float_cycles=(100, 300), shift_steps=200, learning_rate=1e-2, shift_learning_rate=1e-3)
    assert [recipe.cycle_of(step) for step in (0, 99, 100, 399, 400)] == [
        (0, 100), (0, 100), (100, 300), (100, 300), (400, 200),
    ]  # fmt: skip
    rates = [recipe.rate_at(step) for step in range(recipe.steps)]
    for first, end, peak in ((0, 100, 1e-2), (100, 400, 1e-2), (400, 600, 1e-3)):
        assert rates[first] < 0.05 * peak
        assert 0.6 * peak < max(rates[first:end]) <= peak
        assert rates[end - 1] < 0.02 * peak
    assert recipe.with_steps(6) == recipe.replace(float_cycles=(1, 3), shift_steps=2)


@pytest.mark.parametrize("broken_at", [3, 6])
def test_a_broken_off_run_resumes_to_the_same_weights(tmp_path, broken_at):
    scenes = generated_scenes(20)
    whole = train(small(), scenes)

    class BrokenOff(Exception):
        pass

    def breaks(step, *_):
        if step >= broken_at:
            raise BrokenOff

    checkpoint = tmp_path / "run.pt"
    with pytest.raises(BrokenOff):
        train(small(), scenes, checkpoint=checkpoint, report=breaks)
    resumed = train(small(), scenes, checkpoint=checkpoint, resume=True)
    assert weights_of(resumed.shifted) == weights_of(whole.shifted)
    assert weights_of(resumed.floating) == weights_of(whole.floating)
    assert [one.step for one in resumed.curve] == [one.step for one in whole.curve]
    with pytest.raises(ValueError, match="is of another recipe than this run"):
        train(small(seed=9), scenes, checkpoint=checkpoint, resume=True)


def test_a_student_starts_near_its_teacher():
    """Random weights of a teacher: the student's maps must follow it, quantised as well."""
    teacher = Network(yolox_nano(width=4), rectifier="silu").eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for node in teacher.topology.weighted:
            layer = teacher.layer(node.name)
            gain = 0.01 if node.inputs[0] == "image" else 1.7
            torch.nn.init.normal_(layer.weight, std=gain / np.sqrt(layer.weight[0].numel()))
            torch.nn.init.normal_(layer.bias, std=0.3)
    pixels = pixels_of(8)
    student, affine = student_of(teacher, pixels)
    assert set(affine) > {node.name for node in student.topology.nodes}
    fresh = pixels_of(12)[8:]

    def error(network):
        with torch.no_grad():
            pairs = list(zip(network(fresh), teacher(fresh), strict=True))
        return [float((one - aim).var() / aim.var()) for one, aim in pairs]

    assert max(error(student)) < 0.25
    student.topology = student.topology.with_digits(2)
    student.quantised = True
    uncorrected = error(student)
    correct_biases(student, pixels)
    assert student.quantised
    assert all(one < 0.8 * other for one, other in zip(error(student), uncorrected, strict=True))


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="start must be 'yolox' or 'random', not 'voc'"):
        small(start="voc")
    with pytest.raises(ValueError, match="multiples of 32, not 100"):
        small(check_side=100)
    with pytest.raises(ValueError, match="at least 2 steps, not 1"):
        small().with_steps(1)
    with pytest.raises(ValueError, match="starts from YOLOX-Nano's weights, and none were given"):
        train(small(start="yolox"), generated_scenes(20))
    with pytest.raises(FileNotFoundError, match=r"put YOLOX-Nano's ONNX release.*--model generated"):
        weights_path(tmp_path)
