"""The judge of a bus: what happens to frames goes in, verdicts on them come out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.dataflow.arg_max import ArgMax, decision_layout
from hw.dataflow.folding import verdict_cycles
from hw.dataflow.pipeline import FoldedPipeline
from hw.dataflow.weight_loader import WeightLoader, WeightPortSignature
from hw.dataflow.window_layer import EventKind, WindowLayer, event_layout
from models.program.execute import run
from models.program.pipeline_shape import PipelineShape
from models.program.program import Program

__all__ = ["EventKind", "Judge", "event_layout", "verdict_layout"]


def verdict_layout(shape: PipelineShape) -> data.StructLayout:
    """A decision (see `decision_layout`), and whether it means anything."""
    return data.StructLayout({"decision": decision_layout(shape.layers[-1]), "judged": 1})


class Judge(wiring.Component):
    """A window pipeline with replaceable weights: exactly one verdict for every JUDGE, in order.

    `judged` is low where the weights were not valid all the while from the frame's first event to the
    verdict. Such a frame never enters a window, and with new weights the window begins anew.

    Latency `verdict_cycles` from a JUDGE to its verdict. A VALUE takes `value_cycles` until the next
    event, one of zero a single cycle, a COMMIT `commit_cycles`. A second JUDGE waits until the
    first verdict is taken; other events overlap with the verdict. Full back-pressure.
    """

    def __init__(
        self, *, shape: PipelineShape, program: Program | None = None, model_hash: int | None = None
    ):
        """`program` and `model_hash` are the weights from reset on; without them, none are valid yet."""
        if shape.window is None:
            raise ValueError("a Judge needs a shape with a window; use a FoldedPipeline for single vectors")
        if (program is None) != (model_hash is None):
            raise ValueError("give program and model_hash, or neither: a host identifies weights by the hash")
        self.shape = shape
        self._program, self._model_hash = program, model_hash
        self.verdict_cycles = verdict_cycles(shape)
        self.value_cycles = WindowLayer.value_cycles(shape.window)
        self.commit_cycles = WindowLayer.commit_cycles(shape.window)
        super().__init__(
            {
                "events": In(stream.Signature(event_layout(shape.window))),
                "verdicts": Out(stream.Signature(verdict_layout(shape))),
                "weights": Out(WeightPortSignature()),
            }
        )

    def compute(self, events: Iterable[dict]) -> list[dict]:
        """The golden twin, with the weights from reset: the program itself on whole windows."""
        if self._program is None or self.shape.window is None:
            raise ValueError("the golden twin needs the program that the Judge was made with")
        window = self.shape.window
        nothing = [0] * window.features
        past, frame, windows = [nothing] * (window.slots - 1), [*nothing], []
        for event in events:
            match event["kind"]:
                case EventKind.VALUE:
                    frame[event["index"]] = event["value"]
                case EventKind.JUDGE:
                    windows.append([value for one in (*past, frame) for value in one])
                case EventKind.COMMIT:
                    past, frame = [*past, frame][1:], [*nothing]
                case EventKind.ABORT:
                    frame = [*nothing]
                case EventKind.DISCARD:
                    past, frame = [nothing] * (window.slots - 1), [*nothing]
        features = np.array(windows, np.int64).reshape(-1, window.slots * window.features)
        logits = run(self._program, features + self._program.quantiser.minimum)[0]
        return [{"decision": ArgMax.compute(row), "judged": 1} for row in logits.tolist()]

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.loader = loader = WeightLoader(shape=self.shape, model_hash=self._model_hash)
        m.submodules.pipeline = pipeline = FoldedPipeline(shape=self.shape, program=self._program)
        wiring.connect(m, loader.load, pipeline.load)
        wiring.connect(m, loader.weights, wiring.flipped(self.weights))
        valid = loader.weights.valid
        m.d.comb += [
            pipeline.discard.eq(~valid),
        ]

        kind = self.events.payload.kind
        in_flight = Signal()  # a JUDGE whose verdict has not been taken
        begun = Signal()  # this frame has had an event
        stale = Signal()  # weights were not valid during this frame
        good = Signal()  # the verdict in flight means something
        passes = Signal()
        taken = Signal()
        m.d.comb += [
            passes.eq(~((kind == EventKind.JUDGE) & in_flight)),
            pipeline.i.valid.eq(self.events.valid & passes),
            self.events.ready.eq(pipeline.i.ready & passes),
            pipeline.i.payload.eq(self.events.payload),
            taken.eq(self.events.valid & self.events.ready),
            self.verdicts.valid.eq(pipeline.o.valid),
            self.verdicts.payload.decision.eq(pipeline.o.payload),
            self.verdicts.payload.judged.eq(good),
            pipeline.o.ready.eq(self.verdicts.ready),
        ]
        with m.If((kind == EventKind.COMMIT) & (stale | ~valid)):
            m.d.comb += pipeline.i.payload.kind.eq(EventKind.ABORT)
        with m.If(self.verdicts.valid & self.verdicts.ready):
            m.d.sync += in_flight.eq(0)
        with m.If(~valid):
            m.d.sync += stale.eq(begun)
            with m.If(~self.verdicts.valid):  # a verdict that is on offer was made with good weights
                m.d.sync += good.eq(0)
        with m.If(taken):
            with m.Switch(kind):
                with m.Case(EventKind.VALUE, EventKind.JUDGE):
                    m.d.sync += [begun.eq(1), stale.eq(stale | ~valid)]
                with m.Default():
                    m.d.sync += [begun.eq(0), stale.eq(0)]
            with m.If(kind == EventKind.JUDGE):
                m.d.sync += [in_flight.eq(1), good.eq(valid & ~stale)]
        return m
