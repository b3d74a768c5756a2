"""The detector in torch: an interpreter of the node list, for teacher and student. Needs torch.

Quantised, it computes exactly what the exported integer program does: weights of a few digits 0, ±1, ±2, ±4,
activations of 8 bits, every scale a power of two, biases on the accumulators' grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.detector.shift import round_through, shift_values
from models.detector.topology import Node, Topology
from models.quantisers import QuantInput

__all__ = ["OUTPUT_SCALE", "Network"]

#: Of the 8-bit predictions: logits to ±8 in steps of 1/16; boxes are predicted doubled, so in steps of 1/32.
OUTPUT_SCALE = 2.0**-4
OUTPUT_RANGE = (-128, 127)


class _ClipAndRound(torch.autograd.Function):
    """The nearest of `low..high` times `scale`; the gradient passes between the ends."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: float, low: int, high: int) -> Tensor:
        steps = x / scale
        ctx.save_for_backward((steps >= low) & (steps <= high))
        return steps.clamp_(low, high).round_().mul_(scale)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None


class _QuantNode(torch.autograd.Function):
    """Leaves a QONNX `Quant` node in the export; the values are on its grid already."""

    @staticmethod
    def symbolic(g, x, scale, zero_point, bit_width, signed, narrow):
        parameters = {"signed_i": int(signed), "narrow_i": int(narrow), "rounding_mode_s": "ROUND"}
        node = g.op("qonnx.custom_op.general::Quant", x, scale, zero_point, bit_width, **parameters)
        node.setType(x.type())
        return node

    @staticmethod
    def forward(_ctx, x, _scale, _zero_point, _bit_width, _signed, _narrow):
        return x.clone()


def _quant_node(x: Tensor, scale: Tensor, *, bits: int, signed: bool, narrow: bool = False) -> Tensor:
    return _QuantNode.apply(x, scale, torch.tensor(0.0), torch.tensor(float(bits)), signed, narrow)


class Layer(nn.Conv2d):
    """A convolution that always has a bias."""

    bias: Tensor


class Network(nn.Module):
    """`rectifier` is "silu" for the teacher, "clip" for the engine; `quantised` may be switched."""

    def __init__(self, topology: Topology, *, rectifier: str = "clip", quantised: bool = False):
        super().__init__()
        if rectifier not in ("silu", "clip"):
            raise ValueError(f"rectifier must be 'silu' or 'clip', not {rectifier!r}")
        self.topology = topology
        self.rectifier = rectifier
        self.quantised = quantised
        self.groups = topology.scale_groups()
        #: The exponent of the activations' scale of each group, set by calibration.
        self.exponents: dict[str, int] = dict.fromkeys(self.groups.values(), -5)
        self.frozen: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
        self.input: nn.Module = QuantInput(bits=8, signed=False)
        self.layers = nn.ModuleDict()
        for node in topology.weighted:
            inputs = topology.channels_of(node.inputs[0])
            self.layers[node.name] = Layer(
                inputs, node.channels, node.kernel, node.stride, node.kernel // 2, groups=node.groups
            )

    def layer(self, name: str) -> Layer:
        """Weights and bias of a node."""
        return cast(Layer, self.layers[name])

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Output maps, finest first, of pixels 0..255 in 12 channels (see `boxes.sorted_pixels`)."""
        maps = self.maps(pixels)
        return tuple(maps[name] for name in self.topology.outputs)

    def maps(self, pixels: Tensor, *, keep: frozenset[str] | None = frozenset()) -> Mapping[str, Tensor]:
        """Every node's result that is wanted: the outputs, and those in `keep` (all if None)."""
        maps = {"image": self.input(pixels)}
        last_use = {name: node.name for node in self.topology.nodes for name in node.inputs}
        for node in self.topology.nodes:
            maps[node.name] = self._compute(node, [maps[name] for name in node.inputs])
            for name in node.inputs:
                if keep is not None and last_use[name] == node.name and name not in keep:
                    maps.pop(name, None)
        return maps

    def _compute(self, node: Node, sources: list[Tensor]) -> Tensor:
        match node.kind:
            case "conv":
                return self.rectified(node, self.sums(node, sources[0]))
            case "predict":
                return self._predicted(self.sums(node, sources[0]))
            case "pool":
                return functional.max_pool2d(sources[0], 3, 1, 1)
            case "up":
                return functional.interpolate(sources[0], scale_factor=2.0, mode="nearest")
            case "cat":
                return torch.cat(sources, dim=1)
            case "add":
                total = sources[0] + sources[1]
                return total if self.rectifier == "silu" else self._clipped(node, total)
        raise ValueError(f"node {node.name!r}: there is no kind {node.kind!r}")

    def sums(self, node: Node, source: Tensor) -> Tensor:
        """A layer before its rectifier."""
        layer = self.layer(node.name)
        weights, bias = layer.weight, layer.bias
        if self.frozen:
            weights, scale, bias = self.frozen[node.name]
            weights = _quant_node(weights, scale, bits=8, signed=True, narrow=True)
        elif self.quantised:
            weights, _, bias = self._quantised_parameters(node)
        return functional.conv2d(source, weights, bias, node.stride, node.kernel // 2, groups=node.groups)

    def _quantised_parameters(self, node: Node) -> tuple[Tensor, Tensor, Tensor]:
        layer = self.layer(node.name)
        digits = self.topology.digits.get(node.name, 1)
        # An engine shifts sums to the right alone: their step may not exceed that of the result.
        largest = self.result_scale(node) / self.scale_of(node.inputs[0])
        weights, scale = shift_values(layer.weight, digits=digits, largest=largest)
        grid = scale.reshape(-1) * self.scale_of(node.inputs[0])
        bias = round_through(layer.bias / grid) * grid
        return weights, scale, bias

    @torch.no_grad()
    def freeze(self) -> None:
        """Fix the quantised weights as constants, which an export writes down without how they came about."""
        self.quantised = True
        self.frozen = {node.name: self._quantised_parameters(node) for node in self.topology.weighted}

    def scale_of(self, name: str) -> float:
        """The step of a node's activations; fewer bits keep the range and take larger steps."""
        if name == "image":
            return 1.0
        return 2.0 ** (self.exponents[self.groups[name]] + 8 - self.topology.activation_bits)

    def result_scale(self, node: Node) -> float:
        return OUTPUT_SCALE if node.kind == "predict" else self.scale_of(node.name)

    def rectified(self, node: Node, sums: Tensor) -> Tensor:
        return functional.silu(sums) if self.rectifier == "silu" else self._clipped(node, sums)

    def _clipped(self, node: Node, x: Tensor) -> Tensor:
        bits = self.topology.activation_bits
        scale = self.scale_of(node.name)
        top = (1 << bits) - 1
        if not self.quantised:
            return x.clamp(0.0, top * scale)
        if torch.onnx.is_in_onnx_export():
            return _quant_node(x, torch.tensor(scale), bits=bits, signed=False)
        return _ClipAndRound.apply(x, scale, 0, top)

    def _predicted(self, x: Tensor) -> Tensor:
        if not self.quantised:
            return x
        if torch.onnx.is_in_onnx_export():
            return _quant_node(x, torch.tensor(OUTPUT_SCALE), bits=8, signed=True)
        return _ClipAndRound.apply(x, OUTPUT_SCALE, *OUTPUT_RANGE)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.exponents[group] for group in sorted(self.exponents)])

    def set_extra_state(self, state: Tensor) -> None:
        self.exponents = dict(zip(sorted(self.exponents), state.tolist(), strict=True))


def exponent_for(greatest: float) -> int:
    """The exponent of the scale under which 8 bits reach 0.71 to 1.41 of `greatest`."""
    return round(math.log2(max(greatest, 2.0**-20) / 256))
