"""LUTs and block RAMs of a folded pipeline, stage by stage, in microseconds instead of a synthesis run.

The formulas follow the structure of each unit; their few constants were fitted to yosys `synth_xilinx`
(xc7) over units of many sizes. tests/hw/dataflow/test_estimate.py holds whole pipelines to within
`RELATIVE_ERROR`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from models.program.pipeline_shape import IMAGE_WORD_BITS, LayerShape, PipelineShape, WindowShape

__all__ = ["RELATIVE_ERROR", "Estimate", "estimate", "total"]

#: Between the estimated and the synthesised LUTs of a whole pipeline.
RELATIVE_ERROR = 0.15

#: yosys makes a memory of LUTs if it has no more bits than this, or no more rows than one LUT holds.
LUT_MEMORY_BITS = 2816
#: Widths of an 18 kbit block RAM by depth; a 36 kbit one is twice as wide.
BLOCK_WIDTHS = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))

LOADER_LUTS = 116.0
#: Each full adder of a heap takes one bit away; the products in front of them are partly in the same tables.
ADDER_LUTS = 2.8
WINDOW_CONTROL_LUTS = 20.0
#: The judge's own: which verdict is good, one in flight.
JUDGE_LUTS = 12.0


@dataclass(frozen=True)
class Estimate:
    """A line of the report."""

    name: str
    lut: float
    ramb36: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.name, self.lut + other.lut, self.ramb36 + other.ramb36)


def estimate(shape: PipelineShape, *, loader: bool = True) -> list[Estimate]:
    """A line a stage; `loader` for the run-time replacement that a Judge has and a FoldedPipeline has not."""
    lines = []
    if loader:
        lines.append(Estimate("loader and control", LOADER_LUTS + JUDGE_LUTS))
    lanes = None
    if shape.window:
        window = shape.window
        lines.append(_window(window) + _threshold(window, window.emit_lanes, window.units))
        lanes = window.emit_lanes
    for index, layer in enumerate(shape.layers):
        line = Estimate(f"layer {index}", 0) + _dense(layer)
        if lanes is not None and lanes != layer.simd:
            line += _regroup(layer.input_bits, lanes, layer.simd)
        if layer.groups > 1:
            line += memory(2 * layer.beats, layer.simd * layer.input_bits) + Estimate("", 16)
        if layer.levels:
            line += _threshold(layer, layer.pe, layer.outputs)
        lines.append(line)
        lanes = layer.pe
    return [*lines, _arg_max(shape.layers[-1])]


def total(lines: Iterable[Estimate]) -> Estimate:
    return sum(lines, Estimate("total", 0))


def memory(depth: int, width: int) -> Estimate:
    """A memory with a read and a write port, as yosys maps it."""
    if depth <= 64 or depth * width <= LUT_MEMORY_BITS:
        if depth <= 32:
            return Estimate("", 4 * ceil(width / 6) + 1)
        rows = ceil(depth / 64)
        muxes = ceil((rows - 1) / 3) * width + rows if rows > 1 else 1
        return Estimate("", 4 * ceil(width / 3) * rows + muxes)
    narrow = next((bits for rows, bits in BLOCK_WIDTHS if depth <= rows), 0)
    if width <= narrow:
        return Estimate("", 1, 0.5)
    wide = next((2 * bits for rows, bits in BLOCK_WIDTHS if depth <= rows), 1)
    return Estimate("", 1, ceil(width / wide))


def bank(depth: int, width: int) -> Estimate:
    parts = Estimate("", 0)
    for low in range(0, width, IMAGE_WORD_BITS):
        parts += memory(depth, min(IMAGE_WORD_BITS, width - low))
    return parts


def _threshold(shape: WindowShape | LayerShape, lanes: int, units: int) -> Estimate:
    bits, levels = shape.threshold_bits, shape.levels
    logic = 6 + lanes * levels * (0.6 * bits + 1.2)
    return Estimate("", logic) + bank(units // lanes, lanes * levels * bits)


def _dense(layer: LayerShape) -> Estimate:
    planes = 1 if layer.weight_max == 1 else layer.weight_bits
    bits = layer.simd * layer.input_bits * planes
    beat_bits = (layer.sum_max // layer.beats).bit_length()
    weights = bank(layer.groups * layer.beats, layer.pe * layer.simd * layer.weight_bits)
    lane = ADDER_LUTS * max(0, bits - beat_bits) + layer.sum_bits
    if not weights.ramb36:
        lane += layer.simd  # a weight that comes out of tables takes one more
    return Estimate("", 12 + layer.pe * lane) + weights


def _regroup(bits: int, i_lanes: int, o_lanes: int) -> Estimate:
    if o_lanes > i_lanes:
        return Estimate("", 4 + (o_lanes // i_lanes).bit_length())
    return Estimate("", 6 + bits * i_lanes)


def _window(shape: WindowShape) -> Estimate:
    count_bits = (shape.words - 1).bit_length()
    control = WINDOW_CONTROL_LUTS + 2 * count_bits
    if shape.words & (shape.words - 1):  # else the address of a weight is a concatenation
        control += (shape.features * shape.words - 1).bit_length()
    frame_bits = shape.lanes * shape.frame_sum_bits
    lanes = shape.lanes // shape.emit_lanes
    line = Estimate("window", control + frame_bits)
    if lanes > 2:
        line += Estimate(
            "", frame_bits
        )  # what is fresh counts as zero; of two lanes, the choice does that, too
    line += Estimate("", shape.emit_lanes * shape.frame_sum_bits * _choice(lanes))
    line += memory(shape.words, frame_bits)
    line += bank(shape.features * shape.words, shape.lanes * shape.weight_bits)
    if shape.slots > 1:
        past_bits = shape.lanes * shape.past_sum_bits
        line += memory(shape.words - shape.groups, past_bits)
        line += Estimate("", 2 * past_bits)  # zero where nothing is past, and the sums of a COMMIT
        line += Estimate("", shape.emit_lanes * (shape.past_sum_bits * _choice(lanes) + shape.sum_bits))
    return line + Estimate("", 4 + shape.emit_lanes * shape.sum_bits)  # the buffer behind it


def _choice(of: int) -> int:
    """Tables of six inputs for one bit out of `of`: each takes three more bits in."""
    return ceil((of - 1) / 3)


def _arg_max(layer: LayerShape) -> Estimate:
    return Estimate("verdict", 27 + layer.logit_bits * (3.5 + 1.05 * layer.outputs))
