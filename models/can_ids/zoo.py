"""Trained models of models/zoo: a QONNX file each, and beside it in a .json what that file cannot say.

`load_model("ours")` gives a model that judges frames with numpy alone, as hosts and boards do.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from models.can_ids.features import Encoding
from models.can_ids.frames import Attack, Frames
from models.can_ids.scores import Calibration, verdicts
from models.program import Program, load, run

__all__ = ["ZOO", "CanModel", "load_model", "model_names"]

ZOO = Path(__file__).parents[1] / "zoo"
PREFIX = "can_ids_"


@dataclass(frozen=True, kw_only=True)
class CanModel:
    """A trained network, how frames enter it, and what its verdicts are about."""

    name: str
    path: Path  #: of the QONNX file
    encoding: Encoding
    classes: tuple[Attack, ...]  #: a logit's index is its class
    per_frame: bool  #: whether a verdict is on the newest frame; else on the whole window
    trained_on: str
    vehicle: int | None  #: of the traffic generator, where it was trained on that
    calibration: Calibration

    @cached_property
    def program(self) -> Program:
        program = load(self.path)
        expected = (self.encoding.features,), len(self.classes)
        got = tuple(program.input_shape), int(np.prod(program.outputs[0].shape))
        if got != expected:
            raise ValueError(
                f"{str(self.path)!r} has inputs and outputs {got!r}, but the .json beside it describes "
                f"{expected!r}; the two are of different trainings, export them again"
            )
        return program

    def logits(self, frames: Frames) -> np.ndarray:
        """Integer logits, a row for each window; the first is of the frame at index window - 1."""
        return self.of_windows(self.encoding.windows(frames))

    def of_windows(self, windows: np.ndarray) -> np.ndarray:
        return run(self.program, windows)[0].reshape(len(windows), -1)

    def verdicts(self, frames: Frames, *, threshold: int = 1) -> np.ndarray:
        """An `Attack` for each window; the default threshold is argmax, ties to the lowest index."""
        return verdicts(self.logits(frames), threshold)

    def save(self) -> Path:
        """Write the .json beside the QONNX file."""
        content = {
            "encoding": asdict(self.encoding),
            "classes": [attack.name for attack in self.classes],
            "per_frame": self.per_frame,
            "trained_on": self.trained_on,
            "vehicle": self.vehicle,
            "calibration": asdict(self.calibration),
        }
        path = self.path.with_suffix(".json")
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(content, indent=2) + "\n")
        partial.replace(path)
        return path


def load_model(name: str | Path) -> CanModel:
    """A model of the zoo by its short name ("ours"), or any other by the path of its .onnx file."""
    path = Path(name)
    if path.suffix != ".onnx":
        path = ZOO / f"{PREFIX}{name}.onnx"
    description = path.with_suffix(".json")
    if not (path.is_file() and description.is_file()):
        raise FileNotFoundError(
            f"there is no CAN model {str(name)!r}: {path.name} and {description.name} must both exist in "
            f"{str(path.parent)!r}; the zoo has {', '.join(model_names())}"
        )
    try:
        content = json.loads(description.read_text())
        return CanModel(
            name=path.stem.removeprefix(PREFIX),
            path=path,
            encoding=Encoding(**content["encoding"]),
            classes=tuple(Attack[attack] for attack in content["classes"]),
            per_frame=bool(content["per_frame"]),
            trained_on=str(content["trained_on"]),
            vehicle=content["vehicle"],
            calibration=Calibration(**content["calibration"]),
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{str(description)!r} does not describe a CAN model ({error}); export the model again"
        ) from error


def model_names() -> list[str]:
    return sorted(path.stem.removeprefix(PREFIX) for path in ZOO.glob(f"{PREFIX}*.onnx"))
