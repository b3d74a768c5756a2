"""What each layer's second digit is worth, and what fewer bits cost. Needs torch."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from models.detector.cost import cost_of, resized
from models.detector.evaluation import canvases, topology_of
from models.detector.floating import float_network
from models.detector.judging import judge, network_runner
from models.detector.losses import flat
from models.detector.network import Network
from models.detector.pictures import PictureSet
from models.detector.shift import shift_values
from models.detector.starting import correct_biases
from models.detector.zoo import Detector

__all__ = ["Point", "layer_sensitivity", "variants"]

#: Shares of the layers, least sensitive first, that get along with one digit.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
ACTIVATION_BITS = (7, 6, 5, 4)


@dataclass(frozen=True)
class Point:
    label: str
    one_digit_layers: int
    activation_bits: int
    lane_cycles: int
    precision: float


def _float(detector: Detector) -> Network:
    exponents = detector.described["exponents"]
    return float_network(detector.float_path, topology_of(detector), exponents)


def _quantised(network: Network, pixels: torch.Tensor, *, one_digit: tuple[str, ...], bits: int) -> Network:
    """Without training: rounded, and its biases corrected on `pixels`."""
    other = copy.deepcopy(network)
    topology = network.topology
    topology = dataclasses.replace(topology, digits={**topology.digits, **dict.fromkeys(one_digit, 1)})
    other.topology = dataclasses.replace(topology, activation_bits=bits)
    correct_biases(other, pixels)
    return other


@torch.no_grad()
def layer_sensitivity(detector: Detector, pictures: PictureSet, *, side: int = 256) -> dict[str, float]:
    """How far the scores move if one layer alone has weights of one digit: mean squared error."""
    network = _float(detector)
    pixels = torch.from_numpy(canvases(pictures, 8, (side, side))).float()
    wanted = torch.sigmoid(flat(network(pixels))[..., 4:])
    moved = {}
    for node in network.topology.weighted:
        layer = network.layer(node.name)
        kept = layer.weight.detach().clone()
        layer.weight.copy_(shift_values(kept, digits=1)[0])
        moved[node.name] = float(((torch.sigmoid(flat(network(pixels))[..., 4:]) - wanted) ** 2).mean())
        layer.weight.copy_(kept)
    return moved


def variants(
    detector: Detector,
    pictures: PictureSet,
    moved: dict[str, float],
    *,
    side: int = 416,
    report: Callable[[Point], None] = lambda _: None,
) -> list[Point]:
    """Precision of variants without any training on `pictures`, and their lane-cycles at 512x512."""
    network = _float(detector)
    pixels = torch.from_numpy(canvases(pictures, 16, (320, 320))).float()
    points = []
    for label, one_digit, bits in _plans(sorted(moved, key=lambda name: moved[name])):
        other = _quantised(network, pixels, one_digit=one_digit, bits=bits)
        judged = judge(pictures, network_runner(other), (side, side), classes=len(detector.classes))
        point = Point(label, len(one_digit), bits, _cycles(detector, set(one_digit)), judged.voc07.mean)
        points.append(point)
        report(point)
    return points


def _plans(order: list[str]) -> Iterator[tuple[str, tuple[str, ...], int]]:
    for share in SHARES:
        chosen = tuple(order[: round(share * len(order))])
        yield f"{len(chosen)} of {len(order)} layers with one digit", chosen, 8
    for bits in ACTIVATION_BITS:
        yield f"as shipped, {bits}-bit activations", (), bits


def _cycles(detector: Detector, one_digit: set[str]) -> int:
    layers = cost_of(resized(detector.program, (512, 512))).layers
    names = [node.name for node in topology_of(detector).weighted]
    return sum(
        int(one.lane_cycles / (one.digits if name in one_digit else 1))
        for name, one in zip(names, layers, strict=True)
    )
