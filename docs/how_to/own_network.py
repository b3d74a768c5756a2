"""A network of your own, from torch to the gateware: tests run this file."""

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import Int32Bias
from pynq import Overlay
from torch import nn

from host.overlays import bitfile
from host.tile import TileBinary
from hw.tile.compile import compile_program
from models.program import load, run
from models.quantisers import Activation, PowerOfTwoWeight, QuantInput, export
from sim.board import simulated_board

torch.manual_seed(0)


def convolution(inputs: int, outputs: int, **options) -> qnn.QuantConv2d:
    """Weights are 0 or ±2^k: a shift instead of a multiplication. Biases are on the grid of the sums."""
    quantisers = {"weight_quant": PowerOfTwoWeight, "bias_quant": Int32Bias}
    return qnn.QuantConv2d(inputs, outputs, bias=True, **quantisers, **options)


def rectifier() -> qnn.QuantReLU:
    return qnn.QuantReLU(act_quant=Activation, bit_width=8, return_quant_tensor=True)


# 1. The network: quantisers are ordinary layers, and every layer reads quantised values.
model = nn.Sequential(
    QuantInput(bits=8, signed=False, return_quant_tensor=True),
    convolution(3, 16, kernel_size=3, padding=1),
    rectifier(),
    nn.MaxPool2d(2),
    convolution(16, 16, kernel_size=3, padding=1),
    rectifier(),
    convolution(16, 2, kernel_size=1),
)

# 2. Training, as always. This toy learns where a picture is brighter than its mean.
pictures = torch.randint(0, 256, (64, 3, 16, 16)).float()
grey = nn.functional.avg_pool2d(pictures.mean(dim=1), 2)
answers = (grey > grey.mean()).long()
optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(30):
    loss = nn.functional.cross_entropy(model(pictures), answers)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# 3. One QONNX file, and the integer program in it. What has no integer equivalent is refused here, by name.
export(model.eval(), torch.zeros(1, 3, 16, 16), "own_network.onnx")
program = load("own_network.onnx", style="requantise")
for op in program.ops:
    print(f"{op.kind:12} {program.tensors[op.output].shape} {program.tensors[op.output].type_name}")

# 4. The golden answer, in numpy.
picture = pictures[0].numpy().astype(np.int64)
(golden,) = run(program, picture[None])

# 5. The same on the engine: compile, load, run. On a board leave out the simulated one; nothing else changes.
compiled = compile_program(program, "sim")
with simulated_board("tile"):
    engine = Overlay(bitfile("tile")).tile
    engine.load(TileBinary.parse(compiled.binary))
    (found,) = engine.run(picture)
    cycles = sum(layer["cycles"] for layer in engine.profile())
    engine.unload()
assert np.array_equal(found, golden[0])
print(f"{golden[0].size} outputs are equal, bit for bit, after {cycles:,} cycles")
