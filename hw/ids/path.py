"""The path from the receive pin to a record and nothing else: what the area of the idea is."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.can.bit_timing import TIMING_LAYOUT
from hw.ids.core import TIMESTAMP_BITS, IdsCore
from hw.ids.desk import RECORD
from models.program.pipeline_shape import IMAGE_WORD_BITS, PipelineShape
from models.program.program import Program

__all__ = ["IdsPath"]


class IdsPath(wiring.Component):
    """An `IdsCore` that only listens to its pin: no replay, no guard; weights are still replaceable.

    Every attack is an alert. `record` must be taken within the shortest frame.
    """

    def __init__(
        self, *, shape: PipelineShape, program: Program | None = None, model_hash: int | None = None
    ):
        self._core = IdsCore(shape=shape, program=program, model_hash=model_hash)
        super().__init__(
            {
                "rx": In(1),
                "timing": In(TIMING_LAYOUT),
                "record": Out(stream.Signature(RECORD)),
                "words": In(stream.Signature(IMAGE_WORD_BITS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.core = core = self._core
        now = Signal(TIMESTAMP_BITS)
        m.d.sync += now.eq(now + 1)
        wiring.connect(m, core.record, wiring.flipped(self.record))
        wiring.connect(m, wiring.flipped(self.words), core.weights.words)
        m.d.comb += [
            core.rx.eq(self.rx),
            core.timing.eq(self.timing),
            core.now.eq(now),
            core.enable.eq(1),
            core.alert_classes.eq(~0),
            core.threshold.eq(1),
        ]
        return m
