"""The weight image of a model for the overlay that is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from models.can_ids.zoo import CanModel
from models.program import load
from models.program.image import image
from models.program.pipeline_shape import PipelineShape

__all__ = ["model_hash", "pipeline_shape", "weight_image"]

#: The parameter of the .hwh that holds the shape which the overlay was built for.
PARAMETER = "PIPELINE_SHAPE"


def model_hash(model: CanModel) -> str:
    """What the overlay's identity says of this model: 16 hex digits of the sha256 of its QONNX file."""
    return hashlib.sha256(model.path.read_bytes()).hexdigest()[:16]


def pipeline_shape(parameters: Mapping[str, Any], *, shape_hash: int) -> PipelineShape:
    """The shape that an overlay's description gives, checked against what its gateware says."""
    if PARAMETER not in parameters:
        raise ValueError(
            f"the .hwh of this overlay does not say what shape of model it takes (no parameter {PARAMETER}), "
            "so only the model it was built with can be used; build the overlay again"
        )
    shape = PipelineShape.from_dict(json.loads(parameters[PARAMETER]))
    if shape.digest != shape_hash:
        raise ValueError(
            f"the .hwh describes a pipeline of shape {shape.digest:#010x}, the gateware is of "
            f"{shape_hash:#010x}; copy the .bit and the .hwh of one build to the board"
        )
    return shape


def weight_image(model: CanModel, shape: PipelineShape) -> bytes:
    """The words that make the overlay judge with this model."""
    program = load(model.path, style="thresholds")
    return image(program, shape, model_hash=int(model_hash(model), 16))
