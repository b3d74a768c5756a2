"""A torch network from a QONNX file of the zoo: to compare the two, or to train on. Needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from brevitas.nn import QuantLinear
from onnx import numpy_helper
from torch import nn

from models.can_ids.network import build
from models.can_ids.topology import Topology
from models.can_ids.zoo import CanModel

__all__ = ["rebuild", "topology_of"]


def rebuild(path: Path, topology: Topology) -> nn.Sequential:
    """The Brevitas module that `path` was exported from, its weights frozen to their integers."""
    arrays, graph = _arrays(path)
    network = build(topology)
    weights = iter(arrays[name] for name in _parameters(graph, "MatMul", place=1))
    norms = iter(node for node in graph.node if node.op_type == "BatchNormalization")
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, QuantLinear):
                layer.weight.copy_(torch.from_numpy(next(weights).T.copy()))
            elif isinstance(layer, nn.BatchNorm1d):
                parts = [torch.from_numpy(arrays[name].copy()) for name in next(norms).input[1:]]
                for own, part in zip(
                    (layer.weight, layer.bias, layer.running_mean, layer.running_var), parts, strict=True
                ):
                    cast(torch.Tensor, own).copy_(part)
    return network.eval()


def topology_of(model: CanModel) -> Topology:
    """Widths from the file; bits as all models of the zoo have them."""
    arrays, graph = _arrays(model.path)
    weights = [arrays[name] for name in _parameters(graph, "MatMul", place=1)]
    return Topology(
        encoding=model.encoding,
        hidden=tuple(weight.shape[1] for weight in weights[:-1]),
        classes=model.classes,
    )


def _arrays(path: Path) -> tuple[dict[str, np.ndarray], onnx.GraphProto]:
    graph = onnx.load(str(path)).graph
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}, graph


def _parameters(graph: onnx.GraphProto, kind: str, *, place: int) -> list[str]:
    """Names of the constants that nodes of a kind read, through the quantiser before them."""
    made_by = {node.output[0]: node for node in graph.node}
    names = []
    for node in graph.node:
        if node.op_type == kind:
            source = made_by.get(node.input[place])
            names.append(source.input[0] if source is not None else node.input[place])
    return names
