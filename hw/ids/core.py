"""The whole path from the pins to a record, with a second entrance for recorded frames."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.can.bit_timing import TIMING_LAYOUT
from hw.can.receiver import CountedSignature, Receiver, frame_layout
from hw.dataflow.judge import EventKind, Judge, event_layout
from hw.dataflow.weight_loader import WeightPortSignature
from hw.ids.arrival import Arrival
from hw.ids.desk import CLASSES_MAX, RECORD, Desk
from hw.stream import SkidBuffer
from models.program.pipeline_shape import PipelineShape
from models.program.program import Program

__all__ = ["LATENCY_BITS", "TIMESTAMP_BITS", "IdsCore"]

TIMESTAMP_BITS = 48
LATENCY_BITS = 16


class IdsCore(wiring.Component):
    """Receiver, features, network, records. Frames come over `rx`, or, while `replaying`, over `entrance`.

    The network judges a frame while its CRC still arrives; its record is offered when the CRC was right.
    `latency` counts the cycles from the sample point of the last CRC bit to the record, of frames from the
    pins, and `latency_valid` pulses with it. A frame whose record the sink does not take within the shortest
    frame is lost, and counted by `counts.lost`.
    """

    def __init__(
        self, *, shape: PipelineShape, program: Program | None = None, model_hash: int | None = None
    ):
        self.judge = Judge(shape=shape, program=program, model_hash=model_hash)
        self._shape = shape
        assert shape.window is not None, "the Judge refuses a shape without a window"
        self._window = shape.window
        entrance = wiring.Signature(
            {
                "frame": Out(stream.Signature(frame_layout(TIMESTAMP_BITS))),
                "events": Out(stream.Signature(event_layout(self._window))),
            }
        )
        super().__init__(
            {
                "rx": In(1),
                "timing": In(TIMING_LAYOUT),
                "now": In(TIMESTAMP_BITS),
                "enable": In(1),
                "replaying": In(1),
                "entrance": In(entrance),
                #: Forget the frames of the window. Takes effect between two frames.
                "discard": In(1),
                "alert_classes": In(CLASSES_MAX),
                "kill_classes": In(CLASSES_MAX),
                "threshold": In(signed(16)),
                "record": Out(stream.Signature(RECORD)),
                "kill": Out(1),
                "counts": Out(CountedSignature()),
                "rejected": Out(1),
                "lost": Out(1),
                "latency": Out(LATENCY_BITS),
                "latency_valid": Out(1),
                "in_flight": Out(1),
                "bit_start": Out(1),
                #: No frame from the pins is on its way through the network.
                "quiet": Out(1),
                "weights": Out(WeightPortSignature()),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver(timestamp_bits=TIMESTAMP_BITS)
        m.submodules.arrival = arrival = Arrival(shape=self._window)
        m.submodules.judge = judge = self.judge
        m.submodules.desk = desk = Desk(shape=self._shape, timestamp_bits=TIMESTAMP_BITS)
        wiring.connect(m, receiver.in_frame, arrival.in_frame)
        wiring.connect(m, judge.verdicts, desk.verdicts)
        wiring.connect(m, desk.record, wiring.flipped(self.record))
        wiring.connect(m, judge.weights, wiring.flipped(self.weights))
        m.d.comb += [
            receiver.rx.eq(self.rx),
            receiver.timing.eq(self.timing),
            receiver.now.eq(self.now),
            arrival.enable.eq(self.enable & ~self.replaying),
            desk.orphaned.eq(arrival.orphaned),
            desk.alert_classes.eq(self.alert_classes),
            desk.kill_classes.eq(self.kill_classes),
            desk.threshold.eq(self.threshold),
            self.kill.eq(desk.kill),
            self.rejected.eq(receiver.in_frame.rejected),
            self.in_flight.eq(receiver.in_flight),
            self.bit_start.eq(receiver.bit_start),
            # A frame that was received and awaits its record is on its way, too.
            self.quiet.eq(~arrival.busy & ~arrival.events.valid & ~(receiver.frame.valid & ~self.replaying)),
        ]
        for name in CountedSignature.NAMES:
            m.d.comb += getattr(self.counts, name).eq(getattr(receiver.counts, name))
        self._elaborate_entrances(m, receiver, arrival, desk)
        self._elaborate_latency(m, receiver, desk)
        return m

    def _elaborate_entrances(self, m: Module, receiver: Receiver, arrival: Arrival, desk: Desk) -> None:
        """Frames and events from one side or the other; a discard waits for a gap between frames."""
        judge, replay = self.judge, self.entrance
        discard_due, discarding, heard = Signal(), Signal(), Signal()
        gap = self.quiet & ~replay.events.valid & ~replay.frame.valid
        with m.If(self.discard):
            m.d.sync += discard_due.eq(1)
        with m.Elif(discard_due & gap):
            m.d.sync += [discard_due.eq(0), discarding.eq(1)]
        # Registers both ways between the two entrances and the network.
        m.submodules.chosen = chosen = SkidBuffer(shape=event_layout(self._window))
        wiring.connect(m, chosen.o, judge.events)
        events = chosen.i
        with m.If(discarding):
            m.d.comb += [events.valid.eq(1), events.payload.kind.eq(EventKind.DISCARD)]
            with m.If(events.ready):
                m.d.sync += discarding.eq(0)
        with m.Elif(self.replaying):
            m.d.comb += [
                events.valid.eq(replay.events.valid),
                events.payload.eq(replay.events.payload),
                replay.events.ready.eq(events.ready),
            ]
        with m.Else():
            m.d.comb += [
                events.valid.eq(arrival.events.valid),
                events.payload.eq(arrival.events.payload),
                arrival.events.ready.eq(events.ready),
            ]

        # A frame that began while the pins were not listened to is taken and forgotten.
        with m.If(receiver.in_frame.start):
            m.d.sync += heard.eq(self.enable & ~self.replaying)
        unheard = receiver.frame.valid & ~heard
        with m.If(self.replaying):
            m.d.comb += [
                desk.frame.valid.eq(replay.frame.valid),
                desk.frame.payload.eq(replay.frame.payload),
                desk.judged.eq(~(replay.frame.payload.extended | replay.frame.payload.remote)),
                replay.frame.ready.eq(desk.frame.ready),
                receiver.frame.ready.eq(1),
            ]
        with m.Else():
            m.d.comb += [
                desk.frame.valid.eq(receiver.frame.valid & heard),
                desk.frame.payload.eq(receiver.frame.payload),
                desk.judged.eq(arrival.judged),
                desk.from_pins.eq(1),
                receiver.frame.ready.eq(desk.frame.ready | unheard),
            ]
        m.d.comb += self.lost.eq(receiver.counts.lost | arrival.lost | (unheard & self.enable))

    def _elaborate_latency(self, m: Module, receiver: Receiver, desk: Desk) -> None:
        count, counting = Signal(LATENCY_BITS), Signal()
        with m.If(receiver.in_frame.commit):
            m.d.sync += [count.eq(Receiver.STROBE_CYCLES + 1), counting.eq(~self.replaying)]
        with m.Elif(counting):
            m.d.sync += count.eq(Mux(count.all(), count, count + 1))
            with m.If(desk.record.valid):
                m.d.sync += counting.eq(0)
        m.d.comb += [self.latency.eq(count), self.latency_valid.eq(counting & desk.record.valid)]
