"""The QONNX reference executor, for comparisons. Needs the qonnx package; a board does without."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

__all__ = ["run_qonnx"]


def run_qonnx(path: str | Path, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """The graph's outputs for a batch of real inputs, as qonnx computes them node by node in float32."""
    with warnings.catch_warnings():
        # qonnx and onnxruntime warn of their own dependencies' ways.
        warnings.simplefilter("ignore")
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        model = ModelWrapper(str(path))
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = len(values)
        del model.graph.value_info[:]  # shapes for the old batch
        model = model.transform(InferShapes())
        name = model.graph.input[0].name
        results = execute_onnx(model, {name: values.astype(np.float32)})
        return tuple(results[output.name] for output in model.graph.output)
