"""Quantisers for training with Brevitas, and the export to QONNX. Needs torch, which running models do not.

nn.Sequential(
    QuantInput(bits=1, signed=False),
    qnn.QuantLinear(300, 64, bias=False, weight_quant=TernaryWeight),
    nn.BatchNorm1d(64),
    qnn.QuantReLU(act_quant=Activation, bit_width=2),
    qnn.QuantLinear(64, 4, bias=False, weight_quant=TernaryWeight),
)
"""

from models.quantisers.activations import Activation, QuantInput, SignedActivation
from models.quantisers.export import export
from models.quantisers.weights import PowerOfTwoWeight, TernaryWeight, freeze_weights, set_progress

__all__ = [
    "Activation",
    "PowerOfTwoWeight",
    "QuantInput",
    "SignedActivation",
    "TernaryWeight",
    "export",
    "freeze_weights",
    "set_progress",
]
