"""The importer's table: one small rule for each ONNX operation that has an integer equivalent.

A rule gets a `Call` and returns the value of the node's first output. What has no rule here, or breaks one,
is refused by node, rule and remedy.
"""

from collections.abc import Callable

from models.program.rules import linear, scaling, shaping
from models.program.rules.call import DAMAGED, Call
from models.program.values import Value

__all__ = ["DAMAGED", "REMEDIES", "RULES", "Call"]

RULES: dict[str, Callable[[Call], Value]] = {
    "Quant": scaling.quantise,
    "IntQuant": scaling.quantise,
    "BipolarQuant": scaling.quantise,
    "MatMul": linear.mat_mul,
    "Gemm": linear.gemm,
    "Conv": linear.convolution,
    "BatchNormalization": scaling.batch_norm,
    "Relu": scaling.relu,
    "Mul": scaling.multiply,
    "Div": scaling.divide,
    "Add": scaling.add,
    "Sub": scaling.subtract,
    "Concat": shaping.concat,
    "MaxPool": shaping.max_pool,
    "Resize": shaping.resize,
    "Upsample": shaping.resize,
    "Flatten": shaping.flatten,
    "Reshape": shaping.reshape,
    "Transpose": shaping.transpose,
    "Identity": shaping.identity,
    "Dropout": shaping.identity,
    "Constant": shaping.constant,
    "ArgMax": shaping.arg_max,
    "TopK": shaping.arg_max,
}

#: For operations that users will meet: what to do instead.
REMEDIES = {
    "AveragePool": "use max pooling or a strided convolution, which integers compute exactly",
    "GlobalAveragePool": "use max pooling or a convolution over the whole map",
    "Sigmoid": "use a rectifier with a quantiser, or leave the sigmoid to the host after the last layer",
    "Softmax": "drop it: arg-max of the logits is the same, and the host can compute scores",
    "LogSoftmax": "drop it: arg-max of the logits is the same, and the host can compute scores",
    "Trunc": "use a quantiser that rounds (`Quant`) instead of truncation",
    "FloatQuant": "use an integer quantiser; models.quantisers has power-of-two weights as one",
    "ConvTranspose": "use nearest-neighbour upsampling and a convolution",
    "QuantizeLinear": "export QONNX (models.quantisers.export), not QDQ",
    "MultiThreshold": "import the model before FINN's streamlining, with its Quant nodes",
}
