"""The named figures of an evaluation, as `colonnade figures` shows them beside goals and peers."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from models.can_ids.evaluation import Judgement, together
from models.can_ids.scores import margins
from models.can_ids.zoo import CanModel
from models.program.ops import Dense

__all__ = ["model_figures", "weight_bits"]

#: Groups of captures and the name of their figures; those of the drive carry none.
GROUPS = {"drive": "", "slices": "real_slices.", "cross_vehicle": "cross_vehicle.", "generated": "generated."}


def model_figures(model: CanModel, judgements: Sequence[Judgement]) -> dict[str, float]:
    """Figures of one model: can_ids.<model>.*, and can_ids.real_slices.<model>.* of the slices."""
    figures: dict[str, float] = {f"can_ids.{model.name}.weight_bits": weight_bits(model)}
    for group, name in GROUPS.items():
        own = [one for one in judgements if one.group == group and one.model == model.name]
        windows = together(own, group)
        if windows is None:
            continue
        prefix = f"can_ids.{name}{model.name}."
        figures[f"{prefix}window_accuracy"] = windows.accuracy
        figures[f"{prefix}f1_min"] = windows.f1_min()
        figures[f"{prefix}fpr"] = windows.false_positive_rate
        figures[f"{prefix}false_alarms_per_hour"] = windows.false_alarms_per_hour
        frames = together(own, group, "frames")
        if frames is not None:
            figures[f"{prefix}frame_accuracy"] = frames.accuracy
            figures[f"{prefix}frame_f1_min"] = frames.f1_min()
            figures[f"{prefix}frame_fpr"] = frames.false_positive_rate
        figures |= _at_threshold(model, own, prefix)
    return {name: value for name, value in figures.items() if isfinite(value)}


def _at_threshold(model: CanModel, judgements: Sequence[Judgement], prefix: str) -> dict[str, float]:
    """What the threshold for one false alarm an hour leaves."""
    margin = np.concatenate([margins(one.logits) for one in judgements])
    attacked = np.concatenate([one.attacked for one in judgements])
    alarm = margin >= model.calibration.threshold
    if not attacked.any() or attacked.all():
        return {}
    return {
        f"{prefix}alarm_detection_rate": float(alarm[attacked].mean()),
        f"{prefix}alarm_fpr": float(alarm[~attacked].mean()),
    }


def weight_bits(model: CanModel) -> int:
    """Bits that all weights take in memory, each layer's in the narrowest signed integers that hold them."""
    layers = [op for op in model.program.ops if isinstance(op, Dense)]
    return sum(op.weights.size * _narrowest(int(np.abs(op.weights).max())) for op in layers)


def _narrowest(largest: int) -> int:
    return largest.bit_length() + 1
