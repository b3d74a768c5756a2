"""How many lanes each stage of a pipeline gets: the fewest that meet a deadline in cycles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import inf

from hw.dataflow.arg_max import ArgMax
from hw.dataflow.folded_dense import FoldedDense
from hw.dataflow.lanes import Regroup, RepeatBuffer
from hw.dataflow.threshold import Threshold
from hw.dataflow.window_layer import WindowLayer
from hw.stream import SkidBuffer
from models.program.mlp import Layer, layers_of
from models.program.pipeline_shape import LayerShape, PipelineShape, WindowShape
from models.program.program import Program

__all__ = ["StageCycles", "cycles", "fold", "verdict_cycles"]

#: Wider words than this need many block RAMs side by side; and heaps larger than this limit the clock.
SIMD_MAX = 128
PE_MAX = 16


@dataclass(frozen=True)
class StageCycles:
    """A line of the report: what was asked of a stage and what its folding gives."""

    name: str
    lanes: str
    requested: int
    actual: int


def divisors(number: int) -> list[int]:
    return [factor for factor in range(1, number + 1) if number % factor == 0]


def fold(
    program: Program,
    *,
    judge_cycles: int,
    slots: int | None = None,
    value_bits: int = 1,
    value_cycles: int = 100,
) -> PipelineShape:
    """The smallest folding that gives a verdict within `judge_cycles` of the JUDGE.

    With `slots`, frames of a window, the first layer becomes a WindowLayer that takes a value within
    `value_cycles`. Without, all layers are folded stages, and the deadline is from a vector's last beat.
    """
    layers = layers_of(program)
    window = None
    if slots is not None:
        if len(layers) < 2:
            raise ValueError(
                f"program {program.name!r} has one layer; behind a window there must be a second one that "
                "makes the logits"
            )
        window = _window(layers[0], slots=slots, value_bits=value_bits, value_cycles=value_cycles)
        layers = layers[1:]
    best = _least(layers, window, judge_cycles)
    if (actual := verdict_cycles(best)) > judge_cycles:
        raise ValueError(
            f"program {program.name!r} cannot be judged within {judge_cycles} cycles: the fastest folding "
            f"takes {actual}; allow more cycles, or use unrolled stages"
        )
    return best


def _window(layer: Layer, *, slots: int, value_bits: int, value_cycles: int) -> WindowShape:
    if layer.inputs % slots:
        raise ValueError(
            f"layer {layer.name!r} has {layer.inputs} inputs, no multiple of {slots} frames; give the "
            "window of the model's encoding"
        )
    if layer.input_max != (1 << value_bits) - 1:
        raise ValueError(
            f"layer {layer.name!r} reads values up to {layer.input_max}, not of {value_bits} bits; give the "
            "value_bits of the model's encoding"
        )
    shapes: list[WindowShape] = []
    for lanes in divisors(layer.outputs):
        try:
            shape = WindowShape(
                slots=slots,
                features=layer.inputs // slots,
                value_bits=value_bits,
                units=layer.outputs,
                lanes=lanes,
                emit_lanes=1,
                levels=layer.levels,
                weight_max=layer.weight_max,
            )
        except ValueError:
            if not shapes:  # not for its lanes
                raise
            break
        shapes.append(shape)
        if WindowLayer.value_cycles(shape) <= value_cycles:
            return shape
    raise ValueError(
        f"layer {layer.name!r} cannot take a value within {value_cycles} cycles, at best within "
        f"{WindowLayer.value_cycles(shapes[-1])}; allow more cycles a value"
    )


def _choices(layer: Layer) -> list[int]:
    """Products a cycle that a layer can be folded to, least first."""
    return sorted({simd * pe for simd, pe in _lanes(layer)})


def _lanes(layer: Layer) -> Iterable[tuple[int, int]]:
    if not layer.levels:
        return [(simd, layer.outputs) for simd in divisors(layer.inputs) if simd <= SIMD_MAX]
    return [
        (simd, pe)
        for simd in divisors(layer.inputs)
        for pe in divisors(layer.outputs)
        if simd <= SIMD_MAX and pe <= PE_MAX and (pe == 1 or simd == min(layer.inputs, SIMD_MAX))
    ]


def _shape(layers: Sequence[Layer], window: WindowShape | None, products: Sequence[int]) -> PipelineShape:
    shapes = []
    for layer, wanted in zip(layers, products, strict=True):
        simd, pe = next(lanes for lanes in _lanes(layer) if lanes[0] * lanes[1] == wanted)
        shapes.append(
            LayerShape(
                inputs=layer.inputs,
                outputs=layer.outputs,
                input_max=layer.input_max,
                simd=simd,
                pe=pe,
                levels=layer.levels,
                weight_max=layer.weight_max,
            )
        )
    return PipelineShape(layers=tuple(shapes), window=window)


def _least(layers: Sequence[Layer], window: WindowShape | None, judge_cycles: int) -> PipelineShape:
    """Start with one product a cycle and widen, again and again, where a lane buys the most cycles."""
    choices = [_choices(layer) for layer in layers]
    at = [0] * len(layers)

    def shape_of(at: Sequence[int]) -> PipelineShape:
        return _shape(layers, window, [options[index] for options, index in zip(choices, at, strict=True)])

    def cycles_of(at: Sequence[int]) -> float:
        try:
            return verdict_cycles(shape_of(at))
        except ValueError:  # lanes that do not fit those of the layer before
            return inf

    while (now := cycles_of(at)) > judge_cycles:
        steps = []
        for layer in range(len(layers)):
            for further in range(at[layer] + 1, len(choices[layer])):
                wider = [*at]
                wider[layer] = further
                gain = now - cycles_of(wider)
                added = choices[layer][further] - choices[layer][at[layer]]
                if gain > 0:
                    steps.append((gain / added, wider))
        if not steps:
            return shape_of(at)
        at = max(steps)[1]
    return shape_of(_exchanged(at, choices, lambda at: cycles_of(at) <= judge_cycles))


def _exchanged(
    at: Sequence[int], choices: Sequence[Sequence[int]], fast_enough: Callable[[Sequence[int]], bool]
) -> list[int]:
    """Trade lanes of one layer for fewer of another as long as that saves some: greed alone overshoots."""

    def size(at: Sequence[int]) -> int:
        return sum(options[index] for options, index in zip(choices, at, strict=True))

    best = [*at]
    while True:
        changed = []
        for one, other in combinations_with_replacement(range(len(choices)), 2):
            for first, second in product(range(len(choices[one])), range(len(choices[other]))):
                trial = [*best]
                trial[one], trial[other] = first, second
                if size(trial) < size(best):
                    changed.append(trial)
        # The smallest first, so that the first that is fast enough is the best.
        better = next((trial for trial in sorted(changed, key=size) if fast_enough(trial)), None)
        if better is None:
            return best
        best = better


def verdict_cycles(shape: PipelineShape) -> int:
    """From the JUDGE, or from the first input beat where there is no window, to the decision."""
    return _timed(shape)[-1][2]


def cycles(shape: PipelineShape, *, judge_cycles: int) -> list[StageCycles]:
    """What each stage adds, beside what the deadline and the other stages leave for it."""
    timed = _timed(shape)
    spare = judge_cycles - timed[-1][2]
    report, before = [], 0
    for name, lanes, until in timed:
        report.append(StageCycles(name, lanes, until - before + spare, until - before))
        before = until
    return report


def _timed(shape: PipelineShape) -> list[tuple[str, str, int]]:
    """Name, lanes, and the cycle of the last beat of each stage, beat by beat as the stages hand them on."""
    stages: list[tuple[str, str, int]] = []
    lanes: int | None = None
    if (window := shape.window) is not None:
        beats = [WindowLayer.JUDGE_LATENCY_CYCLES + at for at in range(window.units // window.emit_lanes)]
        beats = _later(beats, SkidBuffer.LATENCY_CYCLES + Threshold.LATENCY_CYCLES)
        lanes = window.emit_lanes
        stages.append(("window", f"{window.lanes} in, {lanes} out", beats[-1]))
    else:
        beats = list(range(shape.layers[0].beats))
    for index, layer in enumerate(shape.layers):
        if lanes is not None and lanes != layer.simd:
            beats = _regrouped(beats, lanes, layer.simd)
        if layer.groups > 1:
            begin = beats[-1] + RepeatBuffer.LATENCY_CYCLES
            beats = [begin + at for at in range(layer.groups * layer.beats)]
        beats = _later(beats[layer.beats - 1 :: layer.beats], FoldedDense.LATENCY_CYCLES)
        if layer.levels:
            beats, lanes = _later(beats, Threshold.LATENCY_CYCLES), layer.pe
        stages.append((f"layer {index}", f"{layer.simd} in, {layer.pe} out", beats[-1]))
    stages.append(("verdict", "1", beats[-1] + ArgMax.latency_cycles(shape.classes)))
    return stages


def _later(beats: Sequence[int], cycles: int) -> list[int]:
    return [beat + cycles for beat in beats]


def _regrouped(beats: Sequence[int], i_lanes: int, o_lanes: int) -> list[int]:
    if o_lanes > i_lanes:
        return _later(beats[o_lanes // i_lanes - 1 :: o_lanes // i_lanes], Regroup.LATENCY_CYCLES)
    out: list[int] = []
    for beat in beats:
        for _ in range(i_lanes // o_lanes):
            out.append(max(beat + Regroup.LATENCY_CYCLES, out[-1] + 1 if out else 0))
    return out
