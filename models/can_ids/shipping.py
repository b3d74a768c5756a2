"""From trained weights to the files of a model: QONNX, its .json, and a card with what it is worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.can_ids.card import write_card
from models.can_ids.evaluation import HeldOut, evaluate
from models.can_ids.frames import Attack, Frames
from models.can_ids.material import Material
from models.can_ids.recipes import Recipe
from models.can_ids.scores import Calibration, calibrate
from models.can_ids.training import predict
from models.can_ids.zoo import PREFIX, CanModel
from models.program import integer_logits
from models.program.compare import run_qonnx
from models.quantisers import export

__all__ = ["differing_windows", "ship"]

#: Windows of the comparison of torch, the QONNX executor and the integer program.
COMPARED = 120_000
BLOCK = 8192


def ship(
    network: nn.Sequential,
    recipe: Recipe,
    material: Material,
    captures: Sequence[HeldOut],
    *,
    folder: Path,
    command: str,
) -> CanModel:
    """Write <folder>/can_ids_<name>.onnx, .json and .md, the last from the model's verdicts on `captures`."""
    path = folder / f"{PREFIX}{recipe.name}.onnx"
    windows, classes = material.validation(recipe)
    export(network, torch.from_numpy(windows[:256]).float(), path)
    model = _described(
        recipe, material, path, Calibration(slope=1.0, intercept=0.0, threshold=1, benign_rows=0)
    )
    disturbed = None
    if not material.other_drives:
        disturbed = np.concatenate([model.logits(_disturbed(block.validation)) for block in material.blocks])
    calibration = calibrate(model.of_windows(windows), classes != Attack.BENIGN, disturbed)
    model = _described(recipe, material, path, calibration)
    model.save()
    tested = np.concatenate([model.encoding.windows(capture.frames) for capture in captures])[:COMPARED]
    exact = len(tested), differing_windows(network, model, tested)
    write_card(model, recipe, evaluate(model, captures), command=command, exact=exact)
    return model


def _disturbed(frames: Frames) -> Frames:
    """The benign frames, one payload bit of each flipped."""
    benign = frames[frames.attack == Attack.BENIGN]
    random = np.random.default_rng(0)
    flips = np.uint8(1) << random.integers(0, 8, len(benign), np.uint8)
    benign.data[np.arange(len(benign)), random.integers(0, 8, len(benign))] ^= flips
    return benign


def _described(recipe: Recipe, material: Material, path: Path, calibration: Calibration) -> CanModel:
    return CanModel(
        name=recipe.name,
        path=path,
        encoding=recipe.topology.encoding,
        classes=recipe.topology.classes,
        per_frame=recipe.sampling.per_frame,
        trained_on=material.description,
        vehicle=material.vehicle,
        calibration=calibration,
    )


def differing_windows(network: nn.Sequential, model: CanModel, windows: np.ndarray) -> int:
    """Windows on which torch, the QONNX executor and the integer program do not all agree on every logit."""
    output = model.program.outputs[0]
    different = 0
    for start in range(0, len(windows), BLOCK):
        block = windows[start : start + BLOCK]
        golden = model.of_windows(block)
        from_torch = integer_logits(output, predict(network, block))
        (from_qonnx,) = run_qonnx(model.path, block.astype(np.float32))
        agreed = (golden == from_torch) & (golden == integer_logits(output, from_qonnx))
        different += int((~agreed.all(axis=1)).sum())
    return different
