"""Where a frame meets its verdict: one record a frame, for ring, alerts, counters and guard."""

from amaranth.hdl import Array, Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.can.receiver import frame_layout
from hw.dataflow.judge import verdict_layout
from models.program.pipeline_shape import PipelineShape

__all__ = ["CLASSES_MAX", "RECORD", "UNJUDGED", "Desk"]

#: What `verdict` reads for a frame that the network cannot judge.
UNJUDGED = 0xFF
CLASSES_MAX = 8

FLAGS = data.StructLayout({"extended": 1, "remote": 1, "from_pins": 1, "kill": 1, "unused": 4})
#: 32 bytes, little-endian, as the host's numpy reads them.
RECORD = data.StructLayout(
    {
        "identifier": 32,
        "flags": FLAGS,
        "dlc": 8,
        "verdict": 8,
        "alert": 8,
        "data": data.ArrayLayout(8, 8),
        "timestamp": 64,
        "score": signed(32),
        "sequence": 32,
    }
)


class Desk(wiring.Component):
    """Pair each frame with its verdict, in order, and decide whether it is an alert and whether to kill it.

    Latency `LATENCY_CYCLES` from the later of the two to `record`. Full back-pressure. A verdict without a
    frame is announced by `orphaned` and dropped. An alert is an attack of a class enabled in `alert_classes`
    with a score of at least `threshold`. `kill` pulses as the record of an attack of a class enabled in
    `kill_classes`, with such a score, is first offered, for a frame from the pins.
    """

    LATENCY_CYCLES = 1

    def __init__(self, *, shape: PipelineShape, timestamp_bits: int):
        classes = shape.layers[-1].outputs
        if classes > CLASSES_MAX:
            raise ValueError(f"a verdict has at most {CLASSES_MAX} classes, not {classes!r}")
        super().__init__(
            {
                "frame": In(stream.Signature(frame_layout(timestamp_bits))),
                #: With the frame: it has a verdict, or will have one; and it came over the pins.
                "judged": In(1),
                "from_pins": In(1),
                "verdicts": In(stream.Signature(verdict_layout(shape))),
                "orphaned": In(1),
                "alert_classes": In(CLASSES_MAX),
                "kill_classes": In(CLASSES_MAX),
                "threshold": In(signed(16)),
                "record": Out(stream.Signature(RECORD)),
                "kill": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        frame, verdict, record = self.frame.payload, self.verdicts.payload, self.record.payload
        orphans = Signal(2)
        free = Signal()
        unjudged, taken, dropped = Signal(), Signal(), Signal()
        class_index = verdict.decision.class_index
        attack = Signal()
        m.d.comb += [
            free.eq(~self.record.valid | self.record.ready),
            dropped.eq(self.verdicts.valid & (orphans != 0)),
            unjudged.eq(~self.judged | (self.verdicts.valid & ~dropped & ~verdict.judged)),
            taken.eq(self.frame.valid & free & (~self.judged | (self.verdicts.valid & ~dropped))),
            self.frame.ready.eq(taken),
            self.verdicts.ready.eq(dropped | (taken & self.judged)),
            attack.eq(~unjudged & (class_index != 0) & (verdict.decision.score >= self.threshold)),
        ]
        m.d.sync += orphans.eq(orphans + self.orphaned - dropped)

        alert, kill = Signal(), Signal()
        m.d.comb += [
            alert.eq(attack & Array(self.alert_classes)[class_index]),
            kill.eq(attack & Array(self.kill_classes)[class_index] & self.from_pins),
        ]
        m.d.sync += self.kill.eq(taken & kill)
        with m.If(self.record.ready):
            m.d.sync += self.record.valid.eq(0)
        with m.If(self.record.valid & self.record.ready):
            m.d.sync += record.sequence.eq(record.sequence + 1)
        with m.If(taken):
            m.d.sync += [
                self.record.valid.eq(1),
                record.identifier.eq(frame.identifier),
                Cat(
                    *(getattr(record.flags, name) for name in ("extended", "remote", "from_pins", "kill"))
                ).eq(Cat(frame.extended, frame.remote, self.from_pins, kill)),
                record.dlc.eq(frame.dlc),
                record.alert.eq(alert),
                record.data.eq(frame.data),
                record.timestamp.eq(frame.timestamp),
                record.verdict.eq(class_index),
                record.score.eq(verdict.decision.score),
            ]
            with m.If(unjudged):
                m.d.sync += [record.verdict.eq(UNJUDGED), record.score.eq(0)]
        return m
