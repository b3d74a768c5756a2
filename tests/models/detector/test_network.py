"""The network: its node list, its weights, and that torch, QONNX executor and both executors agree."""

import dataclasses

import numpy as np
import pytest
import torch

from models.detector.cost import cost_of, resized
from models.detector.executor import FastProgram
from models.detector.floating import export_float, float_network, layer_order, quantised_network
from models.detector.network import Network
from models.detector.shift import shift_values
from models.detector.shipping import differing_pictures, export_network
from models.detector.topology import Topology, yolox_nano
from models.program import Program, Quantiser, load, ops, run
from models.program.digits import digits_needed, levels
from models.program.program import Output

SIZE = (64, 96)


def lively(topology: Topology) -> Network:
    """Random weights that let signals through to the outputs."""
    torch.manual_seed(0)
    network = Network(topology, quantised=True)
    for node in topology.weighted:
        layer = network.layer(node.name)
        scale = 1 / 100 if node.inputs[0] == "image" else 1.0
        torch.nn.init.normal_(layer.weight, std=scale * 1.6 / np.sqrt(layer.weight[0].numel()))
        torch.nn.init.normal_(layer.bias, std=0.3)
    return network.eval()


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 12, SIZE[0] // 2, SIZE[1] // 2), np.uint8)


@pytest.fixture(scope="module")
def mixed() -> Topology:
    """Some layers with two digits, some with three, others with one."""
    topology = yolox_nano(width=4)
    names = [node.name for node in topology.weighted]
    return topology.with_digits(2, *names[::3]).with_digits(3, *names[1::9])


@pytest.fixture(scope="module")
def exported(mixed, tmp_path_factory):
    network = lively(mixed)
    return network, export_network(network, tmp_path_factory.mktemp("net") / "net.onnx", size=SIZE)


def test_the_published_size():
    topology = yolox_nano()
    weights = sum(int(np.prod(topology.weight_shape(node))) for node in topology.weighted)
    # YOLOX-Nano has 0.91 M parameters with COCO's 80 classes; 60 classes less at three levels of 64 channels.
    assert 0.87e6 < weights < 0.91e6
    assert [topology[name].channels for name in topology.outputs] == [25, 25, 25]


def test_every_kind_of_arithmetic_agrees(exported):
    network, path = exported
    assert differing_pictures(network, path, pictures(3)) == 0
    maps = run(load(path), pictures(3))
    assert all(np.unique(one).size > 50 for one in maps), "outputs that stand still would prove nothing"


def test_a_changed_weight_is_noticed(exported):
    network, path = exported
    with torch.no_grad():
        network.layer("dark3_c").weight[0] *= -1
        assert differing_pictures(network, path, pictures(2), executor=False) == 2
        network.layer("dark3_c").weight[0] *= -1


def test_the_program_holds_shifts_where_it_says_so(exported, mixed):
    program = load(exported[1])
    assert program.notes == ()
    assert {op.kind for op in program.ops} <= {
        "Convolution",
        "Requantise",
        "MaxPool",
        "Add",
        "Concat",
        "Upsample",
    }
    convolutions = [op for op in program.ops if isinstance(op, ops.Convolution)]
    most = sorted(mixed.digits.get(node.name, 1) for node in mixed.weighted)
    # A narrow layer may draw no weight that needs them all.
    digits = sorted(digits_needed(op.weights) for op in convolutions)
    assert all(got <= allowed for got, allowed in zip(digits, most, strict=True))
    assert max(digits) == 3
    assert all(op.weights.shape[2:] in ((1, 1), (3, 3)) for op in convolutions)
    activations = [op for op in program.ops if isinstance(op, ops.Requantise)]
    assert all(program.tensors[op.output].bits == 8 for op in activations)


def test_the_fast_executor_gives_the_same_integers_at_every_size(exported):
    program = load(exported[1])
    for size in (SIZE, (32, 64)):
        other = resized(program, size)
        batch = np.random.default_rng(1).integers(0, 256, (2, 12, size[0] // 2, size[1] // 2))
        for got, expected in zip(FastProgram(other)(batch), run(other, batch), strict=True):
            np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match=r"inputs must lie in 0\.\.255"):
        FastProgram(program)(pictures(1).astype(int) + 1000)
    with pytest.raises(ValueError, match="multiples of 32"):
        resized(program, (100, 100))


def test_sums_beyond_float32_are_refused():
    weights = np.full((1, 12, 3, 3), 1 << 10)
    layer = ops.Convolution(name="large", inputs=("x",), output="y", weights=weights, bias=np.zeros(1, int))
    program = Program(
        name="one",
        input="x",
        input_shape=(12, 8, 8),
        quantiser=Quantiser(bits=8, signed=False),
        ops=(layer,),
        outputs=(Output(tensor="y", shape=(1, 6, 6)),),
    )
    with pytest.raises(ValueError, match=r"layer 'large': sums reach .* models\.program\.run"):
        FastProgram(program)


def test_networks_come_back_from_their_files(exported, mixed, tmp_path):
    network, path = exported
    network.freeze()
    again = quantised_network(path, mixed, network.exponents, layer_order(path, network))
    network.frozen = {}
    pixels = torch.from_numpy(pictures(2)).float()
    with torch.no_grad():
        for got, expected in zip(again(pixels), network(pixels), strict=True):
            assert torch.equal(got, expected)
        network.quantised = False
        file = export_float(network, tmp_path / "float.onnx")
        back = float_network(file, mixed, network.exponents)
        for got, expected in zip(back(pixels), network(pixels), strict=True):
            torch.testing.assert_close(got, expected)
        network.quantised = True


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_weights_become_the_nearest_level(digits):
    torch.manual_seed(1)
    weights = torch.randn(5, 7, 3, 3, requires_grad=True)
    values, scale = shift_values(weights, digits=digits)
    assert torch.equal(scale, torch.exp2(torch.round(torch.log2(scale))))
    integers = (values / scale).detach()
    every = torch.tensor(levels(digits) + tuple(-one for one in levels(digits))).float()
    distance = (weights / scale).detach()[..., None] - every
    assert torch.equal((integers - (weights / scale).detach()).abs(), distance.abs().amin(dim=-1))
    values.sum().backward()
    assert (weights.grad > 0).float().mean() > 0.9


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_no_other_scale_fits_a_channel_better(digits):
    torch.manual_seed(2)
    weights = torch.randn(6, 20, 3, 3) * torch.exp2(torch.arange(-3.0, 3.0)).reshape(-1, 1, 1, 1)
    every = torch.tensor(levels(digits) + tuple(-one for one in levels(digits))).float()

    def error(scale: torch.Tensor) -> torch.Tensor:
        distance = ((weights / scale)[..., None] - every).abs().amin(dim=-1) * scale
        return distance.square().sum(dim=(1, 2, 3))

    scale = shift_values(weights, digits=digits)[1]
    assert all((error(scale) <= error(scale * factor)).all() for factor in (0.5, 2.0))


def test_scales_stay_below_the_largest_that_the_engine_can_shift():
    weights = torch.full((1, 2, 1, 1), 40.0)
    values, scale = shift_values(weights, digits=2, largest=0.5)
    assert scale.item() == 0.5
    assert values.unique().item() == 20 * 0.5
    with pytest.raises(ValueError, match="sum of 1 to 3 digits, not of 4"):
        shift_values(weights, digits=4)


def test_scales_are_shared_where_maps_join():
    topology = yolox_nano(width=4)
    group = topology.scale_groups()
    for node in topology.nodes:
        if not node.has_weights:
            assert {group[name] for name in (*node.inputs, node.name)} == {group[node.name]}
    assert group["dark2_a"] == group["dark2_b"] == group["dark2_cat"]
    assert len({group[node.name] for node in topology.weighted}) > 40


def test_cost_by_hand():
    weights = np.ones((20, 8, 3, 3), int)
    filters = np.full((20, 1, 3, 3), 3)  # two digits: 4 - 1
    first = ops.Convolution(
        name="a", inputs=("x",), output="a", weights=weights, bias=np.zeros(20, int), padding=(1, 1, 1, 1)
    )
    requantised = ops.Requantise(
        name="b",
        inputs=("a",),
        output="b",
        bias=np.zeros(20, int),
        shift=np.full(20, 4),
        minimum=0,
        maximum=255,
    )
    second = ops.Convolution(
        name="c", inputs=("b",), output="c", weights=filters, bias=np.zeros(20, int), groups=20
    )
    program = Program(
        name="two",
        input="x",
        input_shape=(8, 10, 10),
        quantiser=Quantiser(bits=8, signed=False),
        ops=(first, requantised, second),
        outputs=(Output(tensor="c", shape=(20, 8, 8)),),
    )
    cost = cost_of(program)
    assert cost.macs == 100 * 20 * 8 * 9 + 64 * 20 * 9
    # 8 inputs fit 16 lanes, 20 outputs need two passes. In the second, nine taps fit: two digits take two
    # cycles, and three words of a window must be read.
    assert cost.lane_cycles == 100 * 9 * 2 + 64 * 2 * 3
    assert [cost.layers[1].with_digits(digits).lane_cycles for digits in (1, 5)] == [64 * 2 * 3, 64 * 2 * 5]
    assert cost.weight_bits == 3 * 20 * 8 * 9 + 6 * 20 * 9
    assert cost.largest_map_bytes == 20 * 10 * 10


def test_mistakes_are_named(tmp_path):
    topology = yolox_nano(width=4)
    with pytest.raises(ValueError, match="no node 'neck9'"):
        topology.with_digits(2, "neck9")
    with pytest.raises(ValueError, match="activation_bits must be 2 to 8, not 9"):
        dataclasses.replace(topology, activation_bits=9)
    with pytest.raises(ValueError, match="rectifier must be 'silu' or 'clip', not 'relu'"):
        Network(topology, rectifier="relu")
    with pytest.raises(ValueError, match=r"multiples of 32, not \(100, 64\)"):
        export_network(Network(topology), tmp_path / "x.onnx", size=(100, 64))
