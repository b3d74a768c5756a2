"""Trained detectors of models/zoo: a QONNX file, the float model it came from, and a .json about both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from models.detector.cost import resized
from models.detector.executor import FastProgram
from models.program import Program, load

__all__ = ["ZOO", "Detector", "detector_names", "load_detector"]

ZOO = Path(__file__).parents[1] / "zoo"
PREFIX = "detector_"


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A trained detector; `described` is what the .json holds."""

    name: str
    path: Path  #: of the QONNX file
    described: dict[str, Any]

    @property
    def float_path(self) -> Path:
        return self.path.with_name(f"{self.path.stem}_float.onnx")

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.described["classes"])

    @cached_property
    def program(self) -> Program:
        return load(self.path)

    def runner(self, size: tuple[int, int]) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
        """Exact integers, fast, on canvases of (height, width)."""
        return FastProgram(resized(self.program, size)).dequantised

    def float_runner(self) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
        """The float model before quantisation, any size."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(self.float_path), options, providers=["CPUExecutionProvider"]
        )
        return lambda pixels: tuple(session.run(None, {"pixels": pixels.astype(np.float32)}))


def detector_names() -> list[str]:
    """Of the detectors in the zoo."""
    return sorted(path.stem.removeprefix(PREFIX) for path in ZOO.glob(f"{PREFIX}*.json"))


def load_detector(name: str | Path) -> Detector:
    """A detector of the zoo by name, or any by the path of its QONNX file."""
    path = Path(name) if Path(name).suffix == ".onnx" else ZOO / f"{PREFIX}{name}.onnx"
    beside = path.with_suffix(".json")
    if not path.is_file() or not beside.is_file():
        raise FileNotFoundError(
            f"there is no detector {str(name)!r} ({path.name} with {beside.name} beside it); there are "
            f"{detector_names()!r} in the zoo, or train one: colonnade train detector"
        )
    return Detector(name=path.stem.removeprefix(PREFIX), path=path, described=json.loads(beside.read_text()))
