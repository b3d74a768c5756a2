"""A trained detector as a QONNX file whose integer program gives the very integers of torch. Needs torch."""

from __future__ import annotations

import copy
import os
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from models.detector.card import update
from models.detector.floating import export_float, layer_order
from models.detector.network import OUTPUT_SCALE, Network
from models.detector.recipes import Recipe
from models.detector.training import Trained
from models.detector.zoo import PREFIX, Detector
from models.program import Program, integer_logits, load, run
from models.program.compare import run_qonnx
from models.quantisers.export import write_qonnx

__all__ = ["differing_pictures", "export_network", "ship"]

STARTS = {
    "yolox": "YOLOX-Nano's COCO weights (Megvii, Apache-2.0), which also were the teacher",
    "random": "random weights",
}
LICENCES = {
    "yolox": "Apache-2.0, as the project and as the weights it started from. It contains no picture.",
    "random": "Apache-2.0, as the project.",
}


def ship(
    trained: Trained, recipe: Recipe, *, folder: Path, size: tuple[int, int], command: str, source: str
) -> Detector:
    """Write <folder>/detector_<name>.onnx, _float.onnx, .json and .md."""
    trained.shifted.freeze()
    path = export_network(trained.shifted, folder / f"{PREFIX}{recipe.name}.onnx", size=size)
    topology = recipe.topology
    detector = Detector(name=recipe.name, path=path, described={})
    export_float(trained.floating, detector.float_path)
    digits = {node.name: topology.digits.get(node.name, 1) for node in topology.weighted}
    layers = Counter(digits.values())
    update(
        detector,
        classes=list(topology.classes),
        width=topology["stem"].channels,
        digits=digits,
        weights="Weights are sums of "
        + " and ".join(f"{count} digits in {layers[count]} layers" for count in sorted(layers))
        + ", a digit being 0, ±1, ±2 or ±4 times a power of four; 8-bit activations, power-of-two scales.",
        size=list(size),
        layers=layer_order(path, trained.shifted),
        exponents=trained.shifted.exponents,
        started_from=STARTS[recipe.start],
        licence=LICENCES[recipe.start],
        trained_on=source,
        command=command,
        float_steps=recipe.float_steps,
        shift_steps=recipe.shift_steps,
        batch=recipe.batch,
        seed=recipe.seed,
        curve=[asdict(one) for one in trained.curve],
        digest=detector.program.digest,
    )
    return detector


def export_network(network: Network, path: Path, *, size: tuple[int, int]) -> Path:
    """Write the quantised network for inputs of (height, width), whole or not at all."""
    if any(side % 32 for side in size):
        raise ValueError(f"the sides of the input must be multiples of 32, not {size!r}")
    frozen = copy.deepcopy(network).eval()
    frozen.freeze()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial.onnx")
    example = torch.zeros(1, network.topology.image_channels, size[0] // 2, size[1] // 2)
    try:
        write_qonnx(frozen, example, partial)
        check_engine(load(partial))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def differing_pictures(network: Network, path: Path, pixels: np.ndarray, *, executor: bool = True) -> int:
    """On how many pictures torch, program and (if asked) QONNX executor differ in any integer of any map."""
    program = load(path)
    network.quantised = True
    different = 0
    for picture in pixels:
        batch = picture[None].astype(np.float32)
        with torch.no_grad():
            floats = [one.numpy() for one in network.eval()(torch.from_numpy(batch))]
        versions: list[list[np.ndarray]] = [floats, list(run_qonnx(path, batch))] if executor else [floats]
        golden = run(program, picture[None].astype(np.int64))
        different += any(_differ(program, golden, values) for values in versions)
    return different


def _differ(program: Program, golden: tuple[np.ndarray, ...], values: list[np.ndarray]) -> bool:
    return any(
        (integer_logits(output, one) != integers).any()
        for output, integers, one in zip(program.outputs, golden, values, strict=True)
    )


def check_engine(program: Program) -> None:
    """What engine and host take for granted: shifts to requantise, and one scale for all maps."""
    for op in program.ops:
        if op.kind == "MultiThreshold":
            raise op.refuse("the engine requantises by shifts; its bias or scale is off the grid of its sums")
    for output in program.outputs:
        if output.scale != OUTPUT_SCALE or output.offset:
            raise ValueError(
                f"output {output.tensor!r} must have scale {OUTPUT_SCALE!r}, not {output.scale!r}"
            )
