"""Weight images: what a host sends to a running pipeline to give it a retrained model of the same shape.

Little-endian 32-bit words: magic, digest of the shape, 64 bits of the model's hash, the rows of every bank in
the order of `PipelineShape.banks`, slice by slice, and the CRC-32 (as of zlib) of all bytes before it.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from models.program.mlp import Layer, layers_of
from models.program.pipeline_shape import IMAGE_WORD_BITS, LayerShape, PipelineShape, WindowShape
from models.program.program import Program

__all__ = ["HEADER_WORDS", "MAGIC", "bank_rows", "image"]

MAGIC = int.from_bytes(b"MLPi", "little")
HEADER_WORDS = 4
WORD_MASK = (1 << IMAGE_WORD_BITS) - 1


def image(program: Program, shape: PipelineShape, *, model_hash: int) -> bytes:
    """The image of `program` for a pipeline of `shape`; refuses a program that does not fit, saying where.

    `model_hash` identifies the model to hosts: the first 64 bits of the SHA-256 of its QONNX file.
    """
    if not 0 <= model_hash < 1 << 64:
        raise ValueError(f"model_hash must be 64 bits, not {model_hash!r}")
    rows = bank_rows(program, shape)
    words = [MAGIC, shape.digest, model_hash & WORD_MASK, model_hash >> 32]
    for bank in shape.banks:
        for part in range(bank.slices):
            words += [row >> part * IMAGE_WORD_BITS & WORD_MASK for row in rows[bank.name]]
    body = struct.pack(f"<{len(words)}I", *words)
    return body + struct.pack("<I", zlib.crc32(body))


def bank_rows(program: Program, shape: PipelineShape) -> dict[str, list[int]]:
    """The content of each bank by name, row by row."""
    layers = list(layers_of(program))
    expected = len(shape.layers) + (shape.window is not None)
    if len(layers) != expected:
        raise ValueError(f"program {program.name!r} has {len(layers)} layers, the pipeline has {expected}")
    rows: list[list[int]] = []
    if shape.window is not None:
        rows += _window_rows(layers.pop(0), shape.window)
    for layer, layer_shape in zip(layers, shape.layers, strict=True):
        rows += _layer_rows(layer, layer_shape)
    return dict(zip((bank.name for bank in shape.banks), rows, strict=True))


def _check(layer: Layer, **expected: int) -> None:
    for name, value in expected.items():
        got = getattr(layer, name)
        if got > value if name == "weight_max" else got != value:
            raise ValueError(
                f"layer {layer.name!r} has {name} {got}, the pipeline was built for {value}; retrain the "
                "model in that shape, or build the overlay for this one"
            )


def _packed(values: np.ndarray, bits: int) -> list[int]:
    """Rows of integers, two's complement, the first in the lowest bits."""
    mask = (1 << bits) - 1
    return [sum((int(value) & mask) << bits * at for at, value in enumerate(row)) for row in values]


def _window_rows(layer: Layer, shape: WindowShape) -> list[list[int]]:
    _check(
        layer,
        inputs=shape.slots * shape.features,
        outputs=shape.units,
        input_max=(1 << shape.value_bits) - 1,
        levels=shape.levels,
        weight_max=shape.weight_max,
    )
    # Columns are oldest frame first; slot 0 is the newest.
    by_slot = layer.weights.reshape(shape.units, shape.slots, shape.features)[:, ::-1]
    weights = by_slot.transpose(2, 1, 0).reshape(-1, shape.lanes)
    thresholds = np.clip(layer.thresholds, *shape.threshold_range)
    return [
        _packed(weights, shape.weight_bits),
        _packed(thresholds.reshape(-1, shape.emit_lanes * shape.levels), shape.threshold_bits),
    ]


def _layer_rows(layer: Layer, shape: LayerShape) -> list[list[int]]:
    _check(
        layer,
        inputs=shape.inputs,
        outputs=shape.outputs,
        input_max=shape.input_max,
        levels=shape.levels,
        weight_max=shape.weight_max,
    )
    folded = layer.weights.reshape(shape.groups, shape.pe, shape.beats, shape.simd)
    weights = folded.transpose(0, 2, 1, 3).reshape(-1, shape.pe * shape.simd)
    offsets = np.array([shape.offset(row) for row in layer.weights.tolist()])
    if shape.levels:
        thresholds = np.clip(layer.thresholds + offsets[:, None], *shape.threshold_range)
        numbers = _packed(thresholds.reshape(-1, shape.pe * shape.levels), shape.threshold_bits)
    else:
        most = (1 << shape.logit_bits - 1) - 1
        if max(map(abs, layer.range)) > most:
            raise ValueError(
                f"layer {layer.name!r} has logits up to {max(map(abs, layer.range))}, and the pipeline holds "
                f"{most}; its bias is larger than the sum of its weights can be: train without a bias"
            )
        numbers = _packed((layer.bias - offsets)[:, None], shape.logit_bits)
    return [_packed(weights, shape.weight_bits), numbers]
