"""From weights to files: torch, QONNX and the integer program agree, and the files tell the truth."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.can_ids import shipping
from models.can_ids.evaluation import HeldOut, evaluate, together
from models.can_ids.figures import model_figures, weight_bits
from models.can_ids.material import Material, from_generator
from models.can_ids.rebuilding import rebuild, topology_of
from models.can_ids.recipes import RECIPES, Recipe
from models.can_ids.sampling import Sampling
from models.can_ids.shipping import differing_windows, ship
from models.can_ids.training import Validation, train
from models.can_ids.zoo import CanModel, load_model


@pytest.fixture(scope="module")
def material() -> Material:
    return from_generator(seconds=20, drives=1)


@pytest.fixture(scope="module", params=["generated", "peer"])
def shipped(request, material, tmp_path_factory) -> tuple[Recipe, CanModel, object]:
    """One network of bits that judges frames, one of bytes that judges windows."""
    recipe = RECIPES[request.param]
    recipe = recipe.replace(
        steps=150,
        sampling=Sampling(batch=256, per_frame=recipe.sampling.per_frame, mixture=recipe.sampling.mixture),
    )
    network = train(recipe, material.training(recipe), Validation(*material.validation(recipe)))
    folder = tmp_path_factory.mktemp("zoo")
    tests = [HeldOut(block.name, "generated", block.test) for block in material.blocks]
    model = ship(
        network, recipe, material, tests, folder=folder, command="colonnade train can_ids --model small"
    )
    return recipe, model, network


def test_torch_qonnx_and_program_agree_on_every_logit(shipped, material):
    _, model, network = shipped
    windows = model.encoding.windows(material.blocks[0].test)[:10_000]
    assert differing_windows(network, model, windows) == 0


def test_a_single_changed_weight_is_noticed(shipped, material):
    _, model, _ = shipped
    other = rebuild(model.path, topology_of(model))
    windows = model.encoding.windows(material.blocks[0].test)[:300]
    assert differing_windows(other, model, windows) == 0
    busy = int(np.argmax(np.ptp(windows, axis=0)))
    other[1].weight.data[:, busy] *= -1
    assert differing_windows(other, model, windows) > 0


def test_the_files_describe_the_model(shipped):
    recipe, model, _ = shipped
    again = load_model(model.path)
    assert again == model
    assert topology_of(again) == recipe.topology
    assert weight_bits(again) == recipe.topology.weight_storage_bits
    card = model.path.with_suffix(".md").read_text()
    assert "colonnade train can_ids --model small" in card
    assert "nothing real" in card
    assert "0 differ in any integer logit" in card
    assert "Split by drive; no frame is in two blocks." in card
    assert "benign validation rows, which are of other drives than those trained on" in card


def test_next_minutes_are_disturbed_for_the_threshold_and_other_drives_are_not(
    shipped, material, tmp_path, monkeypatch
):
    recipe, _, network = shipped
    asked = []
    monkeypatch.setattr(shipping, "_disturbed", lambda frames: asked.append(len(frames)) or frames)
    monkeypatch.setattr(shipping, "COMPARED", 100)
    mine = [HeldOut("mine", "capture", material.blocks[0].test[:5000])]
    for other_drives in (True, False):
        one = replace(material, other_drives=other_drives)
        ship(network, recipe, one, mine, folder=tmp_path, command="colonnade train can_ids")
        assert len(asked) == (not other_drives)
    card = (tmp_path / f"can_ids_{recipe.name}.md").read_text()
    assert "Split by time block; no frame is in two blocks." in card
    assert "as they are and with a payload bit wrong in each" in card


def test_figures_are_those_of_the_confusions(shipped, material):
    _, model, _ = shipped
    block = material.blocks[0]
    judgements = evaluate(model, [HeldOut("generated", "generated", block.test)])
    figures = model_figures(model, judgements)
    windows = together(judgements, "generated")
    assert figures[f"can_ids.generated.{model.name}.window_accuracy"] == windows.accuracy
    assert windows.rows == len(block.test) - 3
    assert (judgements[0].frames is not None) == model.per_frame


def test_a_description_of_another_network_is_refused(shipped, tmp_path):
    _, model, _ = shipped
    path = tmp_path / model.path.name
    path.write_bytes(model.path.read_bytes())
    content = json.loads(model.path.with_suffix(".json").read_text())
    content["encoding"]["window"] += 1
    path.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="the two are of different trainings"):
        _ = load_model(path).program


def test_a_broken_description_is_refused(shipped, tmp_path):
    _, model, _ = shipped
    path = tmp_path / model.path.name
    path.write_bytes(model.path.read_bytes())
    path.with_suffix(".json").write_text('{"encoding": {}}')
    with pytest.raises(ValueError, match="does not describe a CAN model"):
        load_model(path)


def test_a_missing_model_is_refused_with_what_there_is():
    with pytest.raises(FileNotFoundError, match=r"no CAN model 'nothing'.*the zoo has"):
        load_model("nothing")
