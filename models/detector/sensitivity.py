"""What each layer's last digits are worth, and what fewer digits and bits cost. Needs torch."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from models.detector.cost import cost_of, resized
from models.detector.evaluation import canvases, topology_of
from models.detector.floating import float_network
from models.detector.judging import judge, network_runner
from models.detector.losses import distance_to_teacher
from models.detector.network import Network
from models.detector.pictures import PictureSet
from models.detector.shift import shift_values
from models.detector.starting import correct_biases
from models.detector.zoo import Detector

__all__ = ["Point", "Removal", "removals", "suppression", "variants", "without"]

#: Shares of the lane-cycles that are to be saved by fewer digits.
SAVINGS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
ACTIVATION_BITS = (7, 6, 5, 4)
OVERLAPS = (0.35, 0.45, 0.55, 0.65, 0.75)
SIDE = 512


@dataclass(frozen=True)
class Removal:
    """A digit that a layer may do without."""

    layer: str
    digits: int  #: that the layer then has
    moved: float  #: how far the output maps then are from the float model's, as training measures it
    saved: int  #: lane-cycles of a picture


@dataclass(frozen=True)
class Point:
    label: str
    digits: dict[str, int]  #: of each layer
    activation_bits: int
    lane_cycles: int
    precision: float


@torch.no_grad()
def removals(detector: Detector, pictures: PictureSet, *, side: int = 256) -> list[Removal]:
    """Every digit whose going saves lane-cycles, those first that move the maps least for each cycle saved.

    Each layer is rounded alone. A layer's digits go one after the other: the second never before the first.
    """
    network = _float(detector)
    pixels = torch.from_numpy(canvases(pictures, 8, (side, side))).float()
    wanted = network(pixels)
    least = distance_to_teacher(wanted, wanted)
    ranked = []
    for node in network.topology.weighted:
        layer = network.layer(node.name)
        kept, rank = layer.weight.detach().clone(), 0.0
        for digits in range(network.topology.digits.get(node.name, 1) - 1, 0, -1):
            layer.weight.copy_(shift_values(kept, digits=digits)[0])
            moved = float(distance_to_teacher(network(pixels), wanted) - least)
            saved = _lane_cycles(detector, {node.name: digits + 1}) - _lane_cycles(
                detector, {node.name: digits}
            )
            if saved:
                rank = max(rank, moved / saved)
                ranked.append((rank, Removal(node.name, digits, moved, saved)))
        layer.weight.copy_(kept)
    return [removal for _, removal in sorted(ranked, key=lambda pair: pair[0])]


def without(removed: list[Removal], *, saving: int) -> dict[str, int]:
    """The digits of the layers that change when as many digits go, in order, as save so many lane-cycles."""
    digits: dict[str, int] = {}
    saved = 0
    for one in removed:
        if saved >= saving:
            break
        digits[one.layer] = one.digits
        saved += one.saved
    return digits


def variants(
    detector: Detector,
    pictures: PictureSet,
    removed: list[Removal],
    *,
    side: int = 416,
    report: Callable[[Point], None] = lambda _: None,
) -> list[Point]:
    """Precision of variants without any training on `pictures`, and their lane-cycles at 512x512."""
    network = _float(detector)
    pixels = torch.from_numpy(canvases(pictures, 16, (320, 320))).float()
    points = []
    for label, digits, bits in _plans(detector, removed):
        other = _quantised(network, pixels, digits=digits, bits=bits)
        judged = judge(pictures, network_runner(other), (side, side), classes=len(detector.classes))
        point = Point(
            label, dict(other.topology.digits), bits, _lane_cycles(detector, digits), judged.voc07.mean
        )
        points.append(point)
        report(point)
    return points


def suppression(detector: Detector, pictures: PictureSet, *, side: int = 416) -> dict[float, float]:
    """Precision over the overlap at which a box counts as one that was found already."""
    classes, size = len(detector.classes), (side, side)
    runner = detector.runner(size)
    return {
        overlap: judge(pictures, runner, size, classes=classes, overlap=overlap).voc07.mean
        for overlap in OVERLAPS
    }


def _plans(detector: Detector, removed: list[Removal]) -> Iterator[tuple[str, dict[str, int], int]]:
    whole = _lane_cycles(detector, {})
    for share in SAVINGS:
        digits = without(removed, saving=round(share * whole))
        layers = Counter(digits.values())
        fewer = ", ".join(
            f"{layers[count]} layers of {count} digit{'s' * (count > 1)}"
            for count in sorted(layers, reverse=True)
        )
        yield f"{share:.0%} saved: {fewer}" if fewer else "as shipped", digits, 8
    for bits in ACTIVATION_BITS:
        yield f"as shipped, {bits}-bit activations", {}, bits


def _float(detector: Detector) -> Network:
    exponents = detector.described["exponents"]
    return float_network(detector.float_path, topology_of(detector), exponents)


def _quantised(network: Network, pixels: torch.Tensor, *, digits: dict[str, int], bits: int) -> Network:
    """Without training: rounded, and its biases corrected on `pixels`."""
    other = copy.deepcopy(network)
    topology = network.topology
    topology = dataclasses.replace(topology, digits={**topology.digits, **digits})
    other.topology = dataclasses.replace(topology, activation_bits=bits)
    correct_biases(other, pixels)
    return other


def _lane_cycles(detector: Detector, digits: dict[str, int]) -> int:
    """Of a picture, where some layers have other digits than the detector's."""
    layers = zip(
        detector.described["layers"], cost_of(resized(detector.program, (SIDE, SIDE))).layers, strict=True
    )
    return sum(one.with_digits(digits.get(name, one.digits)).lane_cycles for name, one in layers)
