"""The float detector as an ONNX file, and torch networks out of files again. Needs torch and onnx."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.detector.network import Network
from models.detector.topology import Topology

__all__ = ["export_float", "float_network", "layer_order", "quantised_network"]


def export_float(network: Network, path: Path) -> Path:
    """Write the float network for inputs of any size, whole or not at all."""
    quantised, network.quantised = network.quantised, False
    partial = path.with_suffix(f".{os.getpid()}.partial.onnx")
    names = [f"map{level}" for level in range(len(network.topology.outputs))]
    example = torch.zeros(1, network.topology.image_channels, 64, 64)
    free = {name: {0: "batch", 2: f"{name}_height", 3: f"{name}_width"} for name in ("pixels", *names)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _unrounded_input(network):
                torch.onnx.export(
                    network.eval(),
                    (example,),
                    str(partial),
                    dynamo=False,
                    opset_version=13,
                    input_names=["pixels"],
                    output_names=names,
                    dynamic_axes=free,
                )
        partial.replace(path)
    finally:
        network.quantised = quantised
        partial.unlink(missing_ok=True)
    return path


class _unrounded_input:
    """Pixels are integers already: the file needs no quantiser at its entrance."""

    def __init__(self, network: Network):
        self.network, self.input = network, network.input

    def __enter__(self) -> None:
        self.network.input = torch.nn.Identity()

    def __exit__(self, *_: object) -> None:
        self.network.input = self.input


def float_network(path: Path, topology: Topology, exponents: dict[str, int]) -> Network:
    """The torch network of an exported float file; `exponents` are of its activations' ranges."""
    network = Network(topology)
    network.exponents.update(exponents)
    constants, convolutions = _contents(path)
    with torch.no_grad():
        for node, one in zip(topology.weighted, convolutions, strict=True):
            layer = network.layer(node.name)
            layer.weight.copy_(torch.from_numpy(constants[one.input[1]]))
            layer.bias.copy_(torch.from_numpy(constants[one.input[2]]))
    return network.eval()


def quantised_network(
    path: Path, topology: Topology, exponents: dict[str, int], order: Sequence[str]
) -> Network:
    """The fake-quantised torch network of a QONNX file; `order` is that of `layer_order`."""
    network = Network(topology, quantised=True)
    network.exponents.update(exponents)
    for name, (weights, scale, bias) in zip(order, _quantised_layers(path), strict=True):
        network.frozen[name] = torch.from_numpy(weights), torch.from_numpy(scale), torch.from_numpy(bias)
    return network.eval()


def layer_order(path: Path, network: Network) -> list[str]:
    """The names of a QONNX file's convolutions, which its clean-up moved: found by their weights."""
    left = {name: parts[0].numpy() for name, parts in network.frozen.items()}
    names = []
    for weights, _, _ in _quantised_layers(path):
        names.append(next(name for name, own in left.items() if np.array_equal(own, weights)))
        del left[names[-1]]
    return names


def _quantised_layers(path: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    constants, convolutions = _contents(path)
    quantisers = {node.output[0]: node for node in _graph(path).node if node.op_type == "Quant"}
    layers = []
    for one in convolutions:
        weights, scale = (constants[name] for name in quantisers[one.input[1]].input[:2])
        layers.append((weights, scale, constants[one.input[2]]))
    return layers


def _graph(path: Path) -> Any:
    import onnx

    return onnx.load(str(path)).graph


def _contents(path: Path) -> tuple[dict[str, np.ndarray], list[Any]]:
    from onnx import numpy_helper

    graph = _graph(path)
    constants = {one.name: numpy_helper.to_array(one).copy() for one in graph.initializer}
    return constants, [one for one in graph.node if one.op_type == "Conv"]
