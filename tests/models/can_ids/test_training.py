"""Training on generated traffic: it learns, repeats itself from a seed, and resumes to the same weights."""

import numpy as np
import pytest
import torch

from models.can_ids.features import Encoding
from models.can_ids.frames import Attack
from models.can_ids.material import Material, from_generator
from models.can_ids.recipes import Recipe
from models.can_ids.sampling import Sampling
from models.can_ids.topology import Topology
from models.can_ids.training import Progress, Validation, predict, train


@pytest.fixture(scope="module")
def material() -> Material:
    return from_generator(seconds=20, drives=1)


def small(**options) -> Recipe:
    topology = Topology(encoding=Encoding(kind="bits", window=1), hidden=(16,))
    defaults = {"name": "small", "topology": topology, "sampling": Sampling(batch=256), "steps": 60}
    return Recipe(**defaults | options)


def run(recipe: Recipe, material: Material, **options) -> torch.nn.Sequential:
    return train(recipe, material.training(recipe), Validation(*material.validation(recipe)), **options)


def weights_of(network: torch.nn.Sequential) -> list[list[float]]:
    return [value.flatten().tolist() for value in network.state_dict().values()]


def test_a_short_training_beats_calling_everything_benign(material):
    recipe = small(steps=400, start_at_patterns=True)
    network = run(recipe, material)
    windows, classes = material.validation(recipe)
    verdicts = predict(network, windows).argmax(axis=1)
    assert (verdicts != classes).mean() < 0.3 * (classes != Attack.BENIGN).mean()


def test_logits_are_integers(material):
    recipe = small()
    logits = predict(run(recipe, material), material.validation(recipe)[0][:500])
    assert np.array_equal(logits, np.round(logits))


def test_the_seed_alone_decides(material):
    one, same, other = (run(small(steps=20, seed=seed), material) for seed in (1, 1, 2))
    assert weights_of(one) == weights_of(same)
    assert weights_of(one) != weights_of(other)


def test_a_broken_off_run_resumes_to_the_same_weights(material, tmp_path, monkeypatch):
    monkeypatch.setattr("models.can_ids.training.CHECK_EVERY", 10)
    whole = run(small(steps=40), material)

    class BrokenOff(Exception):
        pass

    def break_off(progress: Progress) -> None:
        if progress.step == 20:
            raise BrokenOff

    checkpoint = tmp_path / "small.pt"
    with pytest.raises(BrokenOff):
        run(small(steps=40), material, checkpoint=checkpoint, report=break_off)
    steps = []
    resumed = run(
        small(steps=40),
        material,
        checkpoint=checkpoint,
        resume=True,
        report=lambda progress: steps.append(progress.step),
    )
    assert steps == [30, 40]
    assert weights_of(resumed) == weights_of(whole)


def test_a_checkpoint_of_another_recipe_is_refused(material, tmp_path):
    checkpoint = tmp_path / "small.pt"
    run(small(steps=5), material, checkpoint=checkpoint)
    with pytest.raises(ValueError, match=r"small\.pt' is of another recipe.*without --resume"):
        run(small(steps=6), material, checkpoint=checkpoint, resume=True)


def test_patterns_need_bits(material):
    recipe = small(
        topology=Topology(encoding=Encoding(kind="bytes", window=1), hidden=(8,)), start_at_patterns=True
    )
    with pytest.raises(ValueError, match="only bits have patterns"):
        run(recipe, material)
