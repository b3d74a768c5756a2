"""The stages of a folded pipeline, chained: activations or events in, decisions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.dataflow.arg_max import ArgMax, decision_layout
from hw.dataflow.bank_memory import LoadSignature
from hw.dataflow.folded_dense import FoldedDense
from hw.dataflow.lanes import Regroup, RepeatBuffer
from hw.dataflow.threshold import Threshold
from hw.dataflow.window_layer import WindowLayer, event_layout
from hw.stream import SkidBuffer
from models.program.image import bank_rows
from models.program.pipeline_shape import PipelineShape
from models.program.program import Program

__all__ = ["FoldedPipeline"]


class FoldedPipeline(wiring.Component):
    """All stages of `shape`; decisions come in the order of the JUDGEs, or of the vectors.

    With a window, `i` takes its events; without, beats of the first layer's `simd` activations. Weights are
    those of `program` until others are loaded. Latency as `folding.verdict_cycles` says; full back-pressure.
    No queue is needed between stages: each holds what it works on, and waits.
    """

    def __init__(self, *, shape: PipelineShape, program: Program | None = None):
        self.shape = shape
        self._rows: Mapping[str, Sequence[int]] = bank_rows(program, shape) if program else {}
        first = shape.layers[0]
        i_shape = (
            event_layout(shape.window) if shape.window else data.ArrayLayout(first.input_bits, first.simd)
        )
        members = {
            "i": In(stream.Signature(i_shape)),
            "o": Out(stream.Signature(decision_layout(shape.layers[-1]))),
            "load": In(LoadSignature(shape.banks)),
        }
        if shape.window:
            members["discard"] = In(1)
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        shape, banks = self.shape, self.shape.banks
        at = wiring.flipped(self.i)
        lanes = None

        def chain(name: str, unit: wiring.Component) -> None:
            nonlocal at
            m.submodules[name] = unit
            wiring.connect(m, at, unit.i)
            at = unit.o
            if hasattr(unit, "load"):
                wiring.connect(m, unit.load, wiring.flipped(self.load))

        if (window := shape.window) is not None:
            m.submodules.window = unit = WindowLayer(shape=window, banks=banks, rows=self._rows)
            wiring.connect(m, at, unit.events)
            wiring.connect(m, unit.load, wiring.flipped(self.load))
            m.d.comb += unit.discard.eq(self.discard)
            at = unit.o
            # Registers both ways: a stall need not come from the verdict through every stage in one cycle.
            chain("window_out", SkidBuffer(shape=unit.o.payload.shape()))
            bank = window.banks[1].name
            chain(
                "window_threshold",
                Threshold(
                    sum_bits=window.sum_bits,
                    sum_signed=True,
                    threshold_bits=window.threshold_bits,
                    lanes=window.emit_lanes,
                    levels=window.levels,
                    banks=banks,
                    bank=bank,
                    rows=self._rows.get(bank),
                ),
            )
            lanes = window.emit_lanes
        for index, layer in enumerate(shape.layers):
            weights, numbers = (bank.name for bank in layer.banks(index))
            if lanes is not None and lanes != layer.simd:
                chain(f"regroup{index}", Regroup(shape=layer.input_bits, i_lanes=lanes, o_lanes=layer.simd))
            if layer.groups > 1:
                chain(
                    f"repeat{index}",
                    RepeatBuffer(
                        shape=data.ArrayLayout(layer.input_bits, layer.simd),
                        beats=layer.beats,
                        times=layer.groups,
                    ),
                )
            chain(
                f"dense{index}",
                FoldedDense(shape=layer, banks=banks, bank=weights, rows=self._rows.get(weights)),
            )
            rows = self._rows.get(numbers)
            if not layer.levels:
                chain("arg_max", ArgMax(shape=layer, banks=banks, bank=numbers, rows=rows))
                break
            chain(
                f"threshold{index}",
                Threshold(
                    sum_bits=layer.sum_bits,
                    sum_signed=False,
                    threshold_bits=layer.threshold_bits,
                    lanes=layer.pe,
                    levels=layer.levels,
                    banks=banks,
                    bank=numbers,
                    rows=rows,
                ),
            )
            lanes = layer.pe
        wiring.connect(m, at, wiring.flipped(self.o))
        return m
