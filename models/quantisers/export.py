"""Writes a trained Brevitas model as QONNX, and makes sure that the file computes what the model does."""

from __future__ import annotations

import contextlib
import copy
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.program import integer_logits, load, run
from models.quantisers.weights import freeze_weights

__all__ = ["export", "write_qonnx"]


def export(model: nn.Module, example: Tensor, path: str | Path, *, check: bool = True) -> Path:
    """Write `model` to `path`, whole or not at all; the model itself stays as it is.

    `example` is a batch of real inputs. With `check`, the file's integer program must give the very integers
    that torch gives for them, else ValueError says on how many samples it does not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    frozen = copy.deepcopy(model).eval()
    freeze_weights(frozen)
    partial = path.with_suffix(f".{os.getpid()}.partial.onnx")
    try:
        write_qonnx(frozen, example[:1].detach(), partial)
        if check:
            _check(frozen, example, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_qonnx(model: nn.Module, example: Tensor, path: Path) -> None:
    """Write `model` as it is, for an input like `example`; equal models give equal files."""
    from brevitas.export import export_qonnx
    from qonnx.util.cleanup import cleanup

    with _quiet():
        # The TorchScript exporter: qonnx, FINN and hls4ml all fail on what the dynamo exporter writes.
        export_qonnx(model, args=example, export_path=str(path), dynamo=False, opset_version=13)
        # qonnx names nodes and tensors by kind and position, so that equal models are equal files.
        cleanup(str(path), out_file=str(path))


def _check(model: nn.Module, example: Tensor, path: Path) -> None:
    program = load(path)
    with torch.no_grad():
        expected = model(example)
    values = getattr(expected, "value", expected).cpu().numpy()
    inputs = program.quantiser.quantise(example.detach().cpu().numpy())
    got = run(program, inputs.reshape(len(inputs), *program.input_shape))[0]
    wrong = (integer_logits(program.outputs[0], values) != got).reshape(len(got), -1).any(axis=1)
    if wrong.any():
        raise ValueError(
            f"torch and the exported program differ on {np.count_nonzero(wrong)} of {len(got)} samples; "
            f"train with power-of-two scales (models.quantisers) or longer. {' '.join(program.notes)}"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporting makes torch, Brevitas and qonnx warn of each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
