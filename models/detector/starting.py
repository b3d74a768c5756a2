"""Where training starts: YOLOX-Nano's COCO weights, and a student with clips. Needs torch, onnx."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.detector.network import Network, exponent_for
from models.detector.topology import Node, Topology, yolox_nano

__all__ = ["Affine", "correct_biases", "start_at_random", "student_of", "teacher_from_yolox", "weights_path"]

#: The index of each VOC class among COCO's eighty.
COCO_INDEX = (4, 1, 14, 8, 39, 5, 2, 15, 56, 19, 60, 16, 17, 3, 0, 58, 18, 57, 6, 62)
#: Share of the activations of a group that its range holds.
HELD = 0.9995
#: Pixels reach 255, all other activations a few.
PIXEL_GAIN = 0.015
#: Where that share of each channel ends; ranges are powers of two.
FILLED = 3.3


def weights_path(data: Path) -> Path:
    """The file of the teacher's weights in the data folder."""
    path = data / "weights" / "yolox-nano" / "yolox_nano.onnx"
    if not path.is_file():
        raise FileNotFoundError(
            f"there are no weights to start from at {str(path)!r}; put YOLOX-Nano's ONNX release "
            "(Apache-2.0) there, or train on scenes with --model generated, which starts at random weights"
        )
    return path


def teacher_from_yolox(path: Path) -> Network:
    """YOLOX-Nano as it was released, its predictions reduced to the classes of VOC."""
    network = Network(yolox_nano(), rectifier="silu")
    tensors = _convolutions(path)
    order = _yolox_order(network.topology)
    if len(tensors) != len(order):
        raise ValueError(f"{str(path)!r} has {len(tensors)} convolutions, and YOLOX-Nano has {len(order)}")
    with torch.no_grad():
        for node, (weights, bias) in zip(order, tensors, strict=True):
            layer = network.layer(node.name)
            weights, bias = _as_ours(node, weights, bias)
            if weights.shape != tuple(layer.weight.shape):
                raise ValueError(
                    f"{str(path)!r}: layer {node.name!r} should have weights {tuple(layer.weight.shape)!r}, "
                    f"not {weights.shape!r}; it is no YOLOX-Nano"
                )
            layer.weight.copy_(torch.from_numpy(weights))
            layer.bias.copy_(torch.from_numpy(bias))
    return network.eval()


def _as_ours(node: Node, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if node.name.endswith("_class"):
        return weights[list(COCO_INDEX)], bias[list(COCO_INDEX)]
    if node.name.startswith("out") and node.name.endswith("_box"):
        return 2 * weights, 2 * bias  # predicted doubled, for steps of 1/32
    return weights, bias


def _convolutions(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays = {one.name: numpy_helper.to_array(one).copy() for one in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    return [(arrays[node.input[1]], arrays[node.input[2]]) for node in nodes]


def _yolox_order(topology: Topology) -> list[Node]:
    """Our layers in the order in which YOLOX computes its own; only the two narrow branches differ."""
    return list(topology.weighted)


@dataclass
class Affine:
    """What a node of the student means: teacher's value = gain * student's value + offset, a channel."""

    gain: Tensor
    offset: Tensor


@torch.no_grad()
def start_at_random(network: Network) -> None:
    """Weights under which signals keep their size from layer to layer, and no object is expected anywhere."""
    for node in network.topology.weighted:
        layer = network.layer(node.name)
        gain = PIXEL_GAIN if node.inputs[0] == "image" else 2**0.5
        torch.nn.init.normal_(layer.weight, std=gain / layer.weight[0].numel() ** 0.5)
        torch.nn.init.constant_(layer.bias, -4.0 if node.name.endswith(("_object", "_class")) else 0.0)


@torch.no_grad()
def student_of(
    teacher: Network, pixels: Tensor, topology: Topology | None = None
) -> tuple[Network, dict[str, Affine]]:
    """A student with clipped rectifiers that imitates the teacher as well as without training.

    SiLU(x) of each channel is approximated by gain * clip(x + bias) + offset over what the channel sees on
    `pixels`; gains and offsets go into the next layers, and the means and deviations that they disturb
    are set right layer by layer.
    """
    student = Network(topology or teacher.topology)
    wanted = teacher.maps(pixels, keep=None)
    maps = {"image": student.input(pixels)}
    affine = {"image": Affine(torch.ones(12), torch.zeros(12))}
    tied = _tied(student.topology)
    for node in student.topology.nodes:
        sources = [maps[name] for name in node.inputs]
        if node.has_weights:
            _take_over(student, teacher, node, affine[node.inputs[0]])
            aim = teacher.sums(teacher.topology[node.name], wanted[node.inputs[0]])
            _set_right(student, node, student.sums(node, sources[0]), aim)
            if node.kind == "conv":
                affine[node.name] = _fit(student, node, aim, unit_gain=node.name in tied)
                if node.name not in tied:
                    _fill_range(student, node, sources[0], affine[node.name])
                maps[node.name] = student.sums(node, sources[0]).clamp_min(0)
            else:
                affine[node.name] = Affine(torch.ones(node.channels), torch.zeros(node.channels))
                maps[node.name] = student.sums(node, sources[0])
        else:
            affine[node.name] = _joined(node, [affine[name] for name in node.inputs])
            student.rectifier = "silu"  # sums are not clipped before ranges are known
            maps[node.name] = student._compute(node, sources)
            student.rectifier = "clip"
    _calibrate(student, maps)
    return student, affine


def _tied(topology: Topology) -> set[str]:
    """Nodes that are added somewhere: their gains must agree, so they stay 1."""
    return {name for node in topology.nodes if node.kind == "add" for name in node.inputs}


def _take_over(student: Network, teacher: Network, node: Node, source: Affine) -> None:
    layer, model = student.layer(node.name), teacher.layer(node.name)
    weights = model.weight
    gain, offset = source.gain, source.offset
    if node.groups == 1:
        layer.weight.copy_(weights * gain.reshape(1, -1, 1, 1))
        layer.bias.copy_(model.bias + (weights.sum(dim=(2, 3)) * offset).sum(dim=1))
    else:
        layer.weight.copy_(weights * gain.reshape(-1, 1, 1, 1))
        layer.bias.copy_(model.bias + weights.sum(dim=(1, 2, 3)) * offset)


def _set_right(student: Network, node: Node, sums: Tensor, aim: Tensor) -> None:
    """The channel's mean and deviation as the teacher has them."""
    layer = student.layer(node.name)
    factor = (aim.std(dim=(0, 2, 3)) / sums.std(dim=(0, 2, 3)).clamp_min(1e-4)).clamp(0.7, 1.4)
    layer.weight.mul_(factor.reshape(-1, 1, 1, 1))
    layer.bias.copy_(aim.mean(dim=(0, 2, 3)) + factor * (layer.bias - sums.mean(dim=(0, 2, 3))))


def _fit(student: Network, node: Node, aim: Tensor, *, unit_gain: bool) -> Affine:
    """Least squares of SiLU by a moved, scaled rectifier; the best move of a grid goes into the bias."""
    x = aim.transpose(0, 1).flatten(1)
    x = x[:, :: max(1, x.shape[1] // 4096)]
    y = torch.nn.functional.silu(x)
    best_error = torch.full((len(x),), float("inf"))
    best = [torch.zeros(len(x)) for _ in range(3)]
    for move in torch.arange(-1.0, 3.01, 0.125):
        r = (x + move).clamp_min(0)
        mean_r, mean_y = r.mean(dim=1, keepdim=True), y.mean(dim=1, keepdim=True)
        variance = ((r - mean_r) ** 2).mean(dim=1).clamp_min(1e-9)
        gain = (
            torch.ones(len(x))
            if unit_gain
            else (((r - mean_r) * (y - mean_y)).mean(dim=1) / variance).clamp(0.05, 1.2)
        )
        offset = mean_y[:, 0] - gain * mean_r[:, 0]
        error = ((gain[:, None] * r + offset[:, None] - y) ** 2).mean(dim=1)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        found = (torch.full_like(gain, float(move)), gain, offset)
        best = [torch.where(better, new, old) for new, old in zip(found, best, strict=True)]
    move, gain, offset = best
    student.layer(node.name).bias.add_(move)
    return Affine(gain, offset)


def _fill_range(student: Network, node: Node, source: Tensor, affine: Affine) -> None:
    """Every channel uses its 8 bits: scaled so that nearly all of it lies below the same bound."""
    values = student.sums(node, source).clamp_min(0).transpose(0, 1).flatten(1)
    values = values[:, :: max(1, values.shape[1] // 8192)]
    factor = FILLED / torch.quantile(values, HELD, dim=1).clamp_min(0.05)
    layer = student.layer(node.name)
    layer.weight.mul_(factor.reshape(-1, 1, 1, 1))
    layer.bias.mul_(factor)
    affine.gain = affine.gain / factor


@torch.no_grad()
def correct_biases(network: Network, pixels: Tensor) -> None:
    """Moves each quantised layer's bias until its sums have the means that they have unquantised."""
    network.quantised = False
    wanted = network.maps(pixels, keep=None)
    maps = {"image": network.input(pixels)}
    for node in network.topology.nodes:
        sources = [maps[name] for name in node.inputs]
        if node.has_weights:
            network.quantised = False
            aim = network.sums(node, wanted[node.inputs[0]]).mean(dim=(0, 2, 3))
            network.quantised = True
            network.layer(node.name).bias.add_(aim - network.sums(node, sources[0]).mean(dim=(0, 2, 3)))
        network.quantised = True
        maps[node.name] = network._compute(node, sources)


def _joined(node: Node, sources: list[Affine]) -> Affine:
    if node.kind == "cat":
        return Affine(torch.cat([one.gain for one in sources]), torch.cat([one.offset for one in sources]))
    if node.kind == "add":
        return Affine(sources[0].gain, sources[0].offset + sources[1].offset)
    return sources[0]


def _calibrate(student: Network, maps: dict[str, Tensor]) -> None:
    """A range for each group that holds nearly all of its activations."""
    reach: dict[str, float] = {}
    for node in student.topology.nodes:
        if node.kind in ("conv", "add"):
            values = maps[node.name].flatten()
            values = values[:: max(1, len(values) // 200_000)]
            group = student.groups[node.name]
            reach[group] = max(reach.get(group, 0.0), float(torch.quantile(values, HELD)))
    student.exponents.update({group: exponent_for(1.2 * greatest) for group, greatest in reach.items()})
