"""Quantisers, their gradients, and the export: torch, QONNX executor and integer program agree."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
qnn = pytest.importorskip("brevitas.nn")

from torch import nn  # noqa: E402

from models.program import integer_logits, load, run  # noqa: E402
from models.program.compare import run_qonnx  # noqa: E402
from models.program.finn_rules import finn_violations  # noqa: E402
from models.quantisers import (  # noqa: E402
    Activation,
    PowerOfTwoWeight,
    QuantInput,
    SignedActivation,
    TernaryWeight,
    export,
    freeze_weights,
    set_progress,
)


def weight_quantiser(kind, **options):
    """A subclass with options, which is how Brevitas is configured."""
    return type("Weight", (kind,), options)


def dense(inputs, outputs, weight=TernaryWeight):
    return qnn.QuantLinear(inputs, outputs, bias=False, weight_quant=weight)


def mlp(widths, *, bits=8, signed=True, weight=TernaryWeight, activation_bits=2):
    layers = [QuantInput(bits=bits, signed=signed)]
    for inputs, outputs in pairwise(widths[:-1]):
        relu = qnn.QuantReLU(act_quant=Activation, bit_width=activation_bits)
        layers += [dense(inputs, outputs, weight), nn.BatchNorm1d(outputs), relu]
    return nn.Sequential(*layers, dense(widths[-2], widths[-1], weight))


class Block(nn.Module):
    """Everything that a detector is made of, small."""

    def __init__(self, *, channels, weight, bits, depthwise):
        super().__init__()

        def conv(inputs, outputs, kernel=3, groups=1):
            return qnn.QuantConv2d(
                inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False, weight_quant=weight
            )

        self.input = QuantInput(bits=8, signed=False)
        self.first, self.norm = conv(3, channels), nn.BatchNorm2d(channels)
        self.relu = qnn.QuantReLU(act_quant=Activation, bit_width=bits)
        self.second = conv(channels, channels, groups=channels if depthwise else 1)
        self.shared = qnn.QuantIdentity(act_quant=SignedActivation, bit_width=bits + 2)
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.last = dense(8 * 8 * 2 * channels, 3, weight)

    def forward(self, x):
        x = self.shared(self.relu(self.norm(self.first(self.input(x)))))
        x = self.shared(x + self.shared(self.second(x)))
        return self.last(torch.cat([self.up(self.pool(x)), x], dim=1).flatten(1))


def settled(model, shape, *, low, high, batches=3):
    """Some training, so that statistics, scales and weights are those of a real network."""
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for step in range(batches):
        set_progress(model, step / batches)
        x = torch.randint(low, high, (32, *shape), generator=generator).float()
        optimiser.zero_grad()
        (model(x).flatten(1) - x.flatten(1)[:, :1] / high).square().mean().backward()
        optimiser.step()
    return model.eval()


def assert_all_agree(model, shape, path, *, low, high, samples=64):
    x = torch.randint(low, high, (samples, *shape), generator=torch.Generator().manual_seed(1)).float()
    export(model, x, path)
    program = load(path)
    (got,) = run(program, program.quantiser.quantise(x.numpy()))
    with torch.no_grad():
        expected = model(x).numpy()
    np.testing.assert_array_equal(integer_logits(program.outputs[0], expected), got)
    np.testing.assert_array_equal(integer_logits(program.outputs[0], run_qonnx(path, x.numpy())[0]), got)
    return program, len(np.unique(got)) > 1  # a network of dead units says nothing that could differ


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    widths=st.lists(st.integers(4, 24), min_size=1, max_size=3),
    one_bit=st.booleans(),
    kind=st.sampled_from([TernaryWeight, PowerOfTwoWeight]),
    estimator=st.sampled_from(["straight", "rectified", "annealed"]),
    per_channel=st.booleans(),
    activation_bits=st.integers(2, 4),
)
def test_random_mlps(tmp_path_factory, seed, widths, one_bit, kind, estimator, per_channel, activation_bits):
    torch.manual_seed(seed)
    weight = weight_quantiser(kind, estimator=estimator, scale_per_channel=per_channel)
    low, high, bits = (0, 2, 1) if one_bit else (-128, 128, 8)
    model = mlp(
        [20, *widths, 4], bits=bits, signed=not one_bit, weight=weight, activation_bits=activation_bits
    )
    settled(model, (20,), low=low, high=high)
    path = tmp_path_factory.mktemp("mlp") / "net.onnx"
    _, alive = assert_all_agree(model, (20,), path, low=low, high=high)
    assume(alive)
    assert finn_violations(path) == []


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    channels=st.integers(2, 6),
    levels=st.integers(1, 7),
    bits=st.integers(2, 6),
    depthwise=st.booleans(),
)
def test_random_shift_convolutions(tmp_path_factory, seed, channels, levels, bits, depthwise):
    torch.manual_seed(seed)
    weight = weight_quantiser(PowerOfTwoWeight, levels=levels)
    model = Block(channels=channels, weight=weight, bits=bits, depthwise=depthwise)
    settled(model, (3, 8, 8), low=0, high=256)
    path = tmp_path_factory.mktemp("conv") / "net.onnx"
    program, alive = assert_all_agree(model, (3, 8, 8), path, low=0, high=256, samples=8)
    assume(alive)
    linear = [op for op in program.ops if op.kind in ("Convolution", "Dense")]
    assert len(linear) == 3
    assert all(op.terms == 1 for op in linear)


def quantised(kind, weights, **options):
    layer = qnn.QuantLinear(
        weights.shape[1], weights.shape[0], bias=False, weight_quant=weight_quantiser(kind, **options)
    )
    layer.weight.data.copy_(weights)
    result = layer.eval().quant_weight()
    return layer, result.value.detach() / result.scale, result.scale


@pytest.mark.parametrize("levels", [1, 2, 4, 7])
def test_power_of_two_weights_are_the_nearest_levels(levels):
    weights = torch.randn(30, 40, generator=torch.Generator().manual_seed(levels))
    _, got, scale = quantised(PowerOfTwoWeight, weights, levels=levels)
    allowed = torch.tensor([0.0] + [sign * 2.0**k for k in range(levels) for sign in (1, -1)])
    assert torch.log2(scale).frac().abs().max() == 0
    distance = (weights / scale).unsqueeze(-1).sub(allowed).abs()
    np.testing.assert_allclose((weights / scale - got).abs(), distance.min(dim=-1).values, rtol=1e-6)
    assert got.abs().max() == 2 ** (levels - 1)


def test_ternary_weights_are_nearest_under_a_power_of_two():
    weights = torch.randn(30, 40, generator=torch.Generator().manual_seed(0))
    _, got, scale = quantised(TernaryWeight, weights)
    assert set(got.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert torch.log2(scale).frac() == 0
    np.testing.assert_array_equal(got, torch.round((weights / scale).clamp(-1, 1)))
    # Gaussian weights of deviation 1: the best level is 1.224, the nearest power of two 1.
    assert scale == 1.0


def test_a_scale_a_channel():
    weights = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[0.01], [1.0], [64.0]]
    )
    _, _, scale = quantised(TernaryWeight, weights, scale_per_channel=True)
    assert scale.shape == (3, 1)
    assert (torch.log2(scale) == torch.tensor([[-7.0], [0.0], [6.0]])).sum() >= 2


def test_a_layer_of_zeros_stays_zero():
    _, got, _ = quantised(PowerOfTwoWeight, torch.zeros(3, 4))
    assert (got == 0).all()


def gradient(estimator, weights, progress):
    layer, _, scale = quantised(TernaryWeight, weights, estimator=estimator)
    layer.train()
    set_progress(layer, progress)
    layer.quant_weight().value.sum().backward()
    return layer.weight.grad / 1.0, scale


def test_straight_gradient_stops_beyond_the_ends():
    weights = torch.linspace(-4, 4, 81).reshape(1, -1)
    slope, scale = gradient("straight", weights, 0.0)
    np.testing.assert_array_equal(slope, (weights.abs() <= 1.5 * scale).float())


def test_rectified_gradient_grows_towards_the_steps():
    weights = torch.linspace(-4, 4, 81).reshape(1, -1)
    early, scale = gradient("rectified", weights, 0.0)
    np.testing.assert_allclose(
        early, gradient("straight", weights, 0.0)[0]
    )  # o = 1 is the straight estimator
    late, _ = gradient("rectified", weights, 1.0)
    x = (weights / scale).abs()
    near, far = late[(x - 0.5).abs() < 0.03], late[(x - 1.0).abs() < 0.05]
    assert near.min() > 1.5
    assert far.max() < 0.5


def test_annealed_weights_go_from_float_to_quantised():
    weights = torch.randn(10, 10, generator=torch.Generator().manual_seed(0))
    layer, levels, scale = quantised(TernaryWeight, weights, estimator="annealed")
    layer.train()
    set_progress(layer, 0.0)
    assert torch.equal(layer.quant_weight().value, weights)
    set_progress(layer, 0.4)
    np.testing.assert_allclose(layer.quant_weight().value.detach(), (weights + levels * scale) / 2, rtol=1e-5)
    set_progress(layer, 0.8)
    assert torch.equal(layer.quant_weight().value, levels * scale)
    set_progress(layer, 0.0)
    assert torch.equal(layer.eval().quant_weight().value, levels * scale)


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match=r"estimator must be one of .* not 'magic'"):
        quantised(TernaryWeight, torch.ones(2, 2), estimator="magic")


@pytest.mark.parametrize(
    ("bits", "signed", "low", "high"), [(8, True, -128, 127), (8, False, 0, 255), (1, False, 0, 1)]
)
def test_input_quantiser(bits, signed, low, high):
    x = torch.tensor([-1000.0, low, low + 0.5, 0.49, 0.51, high, 1000.0], requires_grad=True)
    y = QuantInput(bits=bits, signed=signed)(x)
    y.sum().backward()
    assert y.tolist() == [low, low, round(low + 0.5), 0, 1, high, high]
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]
    with pytest.raises(ValueError, match="bits must be 1 to 16"):
        QuantInput(bits=1, signed=True)


def test_export_leaves_the_model_alone_and_is_the_same_file_twice(tmp_path):
    torch.manual_seed(0)
    model = settled(mlp([20, 8, 4]), (20,), low=-128, high=128)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.zeros(2, 20)
    first, second = export(model, x, tmp_path / "a.onnx"), export(model, x, tmp_path / "deep" / "b.onnx")
    assert first.read_bytes() == second.read_bytes()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.onnx", "b.onnx", "deep"]


def test_a_failed_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    unquantised = nn.Sequential(QuantInput(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="its weights are not quantised constants"):
        export(unquantised, torch.zeros(1, 4), path)
    assert [item.name for item in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_bytes() == b"old"


def test_frozen_weights_are_fixed_points():
    torch.manual_seed(0)
    model = mlp([30, 20, 4], weight=PowerOfTwoWeight)
    before = model[1].quant_weight().value.detach()
    freeze_weights(model)
    assert torch.equal(model[1].weight, before)
    assert torch.equal(model[1].quant_weight().value, before)


def test_a_bias_on_the_accumulators_grid_makes_shifts(tmp_path):
    """How a detector is trained for the convolution engine: no normalisation left, a bias in integers."""
    from brevitas.quant import Int32Bias

    torch.manual_seed(0)
    options = {"bias": True, "bias_quant": Int32Bias, "weight_quant": PowerOfTwoWeight, "padding": 1}
    model = nn.Sequential(
        QuantInput(bits=8, signed=False, return_quant_tensor=True),
        qnn.QuantConv2d(3, 8, 3, stride=2, **options),
        qnn.QuantReLU(act_quant=Activation, bit_width=8, return_quant_tensor=True),
        qnn.QuantConv2d(8, 4, 3, **options),
        qnn.QuantReLU(act_quant=Activation, bit_width=4),
    )
    settled(model, (3, 8, 8), low=0, high=256)
    program, alive = assert_all_agree(model, (3, 8, 8), tmp_path / "net.onnx", low=0, high=256, samples=8)
    assert alive
    assert [op.kind for op in program.ops] == ["Convolution", "Requantise"] * 2
    assert all(op.terms == 1 and op.bias.any() for op in program.ops[::2])
    assert program.notes == ()
