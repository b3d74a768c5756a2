"""The shipped models: FINN's structure rules, exact arithmetic, and a card for each."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.can_ids.features import Encoding
from models.can_ids.frames import Attack, Frames
from models.can_ids.rebuilding import rebuild, topology_of
from models.can_ids.recipes import RECIPES
from models.can_ids.shipping import differing_windows
from models.can_ids.zoo import ZOO, load_model, model_names
from models.program.finn_rules import finn_violations

NAMES = ["gear", "generated", "ours", "peer", "published"]


def mixed_frames(rows: int = 4000) -> Frames:
    """Plausible and random frames: identifiers near real ones, payloads of few and of many bits."""
    random = np.random.default_rng(11)
    frames = Frames.zeros(rows)
    frames.identifier[:] = np.where(random.random(rows) < 0.5, random.integers(0, 2048, rows), 0x316)
    frames.data[:] = random.integers(0, 256, (rows, 8)) & random.choice([0, 15, 255], (rows, 8))
    return frames


def test_the_zoo_is_complete():
    assert set(NAMES) <= set(model_names())
    for name in NAMES:
        assert (ZOO / f"can_ids_{name}.md").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_topology_and_classes_are_those_of_the_recipe(name):
    model, recipe = load_model(name), RECIPES[name]
    assert topology_of(model) == recipe.topology
    assert model.per_frame == recipe.sampling.per_frame
    card = (ZOO / f"can_ids_{name}.md").read_text()
    assert f"`colonnade train can_ids --model {name}`" in card
    assert f"**{model.calibration.threshold}**" in card


@pytest.mark.parametrize("name", NAMES)
def test_torch_qonnx_and_program_agree(name):
    model = load_model(name)
    windows = model.encoding.windows(mixed_frames())
    assert differing_windows(rebuild(model.path, topology_of(model)), model, windows) == 0
    assert len(np.unique(model.of_windows(windows), axis=0)) > 100


@pytest.mark.parametrize("name", NAMES)
def test_the_graph_keeps_to_what_finn_builds(name):
    """Input quantised; every matrix product reads quantised data and 2-bit weights; activations quantised."""
    graph = onnx.load(str(load_model(name).path)).graph
    made_by = {output: node for node in graph.node for output in node.output}
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    assert {node.op_type for node in graph.node} == {"Quant", "MatMul", "BatchNormalization", "Relu"}
    first = [node for node in graph.node if graph.input[0].name in node.input]
    assert [node.op_type for node in first] == ["Quant"]
    products = [node for node in graph.node if node.op_type == "MatMul"]
    for place, node in enumerate(products):
        data, weight = (made_by[name] for name in node.input)
        assert data.op_type == weight.op_type == "Quant"
        assert constants[weight.input[3]] == 2
        signed = {one.name: one.i for one in data.attribute}["signed"]
        assert place == 0 or (constants[data.input[3]] == 2 and not signed)
    assert graph.output[0].name == products[-1].output[0]
    assert finn_violations(load_model(name).path) == []


def test_ours_judges_single_frames_of_bits():
    model = load_model("ours")
    assert model.encoding == Encoding(kind="bits", window=1)
    dos = Frames.zeros(1)
    dos.dlc[:] = 8
    assert model.verdicts(dos).tolist() == [Attack.DOS]
    assert model.verdicts(dos, threshold=10_000).tolist() == [Attack.BENIGN]
