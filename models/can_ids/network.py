"""A topology as a Brevitas module, exportable as QONNX that our importer, FINN and hls4ml read.

All scales are the constant 1 but for the batch normalisations, which become integer thresholds on import:
logits are integers as they leave the last layer, and argmax cannot be swayed by float noise.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from brevitas.inject.enum import ScalingImplType
from brevitas.nn import QuantLinear, QuantReLU
from brevitas.quant import Int8WeightPerTensorFixedPoint, Uint8ActPerTensorFixedPoint
from torch import nn

from models.can_ids.topology import Topology
from models.quantisers import QuantInput

__all__ = ["build", "clamp_weights"]

#: Where the hidden units' activations start before training: mid-way through the lowest step.
INITIAL_SHIFT = 0.5


def build(topology: Topology) -> nn.Sequential:
    """Initialised from torch's global random generator."""
    in_bits = topology.encoding.kind == "bits"
    layers: list[nn.Module] = [QuantInput(bits=1 if in_bits else 8, signed=not in_bits)]
    widths = topology.widths
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layers.append(_linear(inputs, outputs, topology.weight_bits))
        if index < len(topology.hidden):
            layers += [_normalisation(outputs), _activation(topology.activation_bits)]
    return nn.Sequential(*layers)


def _linear(inputs: int, outputs: int, bits: int) -> QuantLinear:
    class Weights(Int8WeightPerTensorFixedPoint):
        bit_width = bits
        narrow_range = True
        scaling_impl_type = ScalingImplType.CONST
        scaling_init = float(1 << bits - 1)

    layer = QuantLinear(inputs, outputs, bias=False, weight_quant=Weights)
    largest = float((1 << bits - 1) - 1)
    nn.init.uniform_(layer.weight, -largest, largest)
    return layer


def _normalisation(width: int) -> nn.BatchNorm1d:
    layer = nn.BatchNorm1d(width)
    nn.init.constant_(layer.bias, INITIAL_SHIFT)
    return layer


def _activation(bits: int) -> QuantReLU:
    class Activations(Uint8ActPerTensorFixedPoint):
        bit_width = bits
        scaling_impl_type = ScalingImplType.CONST
        scaling_init = float(1 << bits)

    return QuantReLU(act_quant=Activations)


def clamp_weights(network: nn.Sequential, topology: Topology) -> None:
    """Keep latent weights near the range of their integers, whence a gradient can still move them."""
    largest = (1 << topology.weight_bits - 1) - 1 + 0.2
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, QuantLinear):
                layer.weight.clamp_(-largest, largest)
