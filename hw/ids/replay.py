"""Recorded frames from memory, as events for the network and as frames for the records."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.can.receiver import frame_layout
from hw.dataflow.window_layer import EventKind, event_layout
from hw.stream import ByteBeat, Fifo
from models.program.pipeline_shape import WindowShape

__all__ = ["FRAME_BYTES", "Replay"]

#: identifier u32, flags u8 (bit 0 extended, bit 1 remote), dlc u8, two bytes unused, eight data bytes.
FRAME_BYTES = 16
BEAT_BITS = 64


class Replay(wiring.Component):
    """Takes frame records of two beats each; a frame that can be judged goes through the network.

    Interval: the features of a frame, plus `FRAME_CYCLES`, plus what the network makes its events wait. Full
    back-pressure. Each frame is offered on `frame` before its events; payload bytes beyond the DLC count as
    zero, a DLC above 8 as 8.
    """

    FRAME_CYCLES = 3

    def __init__(self, *, shape: WindowShape, timestamp_bits: int):
        self._shape = shape
        self._timestamp_bits = timestamp_bits
        super().__init__(
            {
                "beats": In(stream.Signature(ByteBeat(BEAT_BITS))),
                "now": In(timestamp_bits),
                "frame": Out(stream.Signature(frame_layout(timestamp_bits))),
                "events": Out(stream.Signature(event_layout(shape))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        shape, beat, event = self._shape, self.beats.payload, self.events.payload
        frame = Signal(frame_layout(self._timestamp_bits))
        # All features in the order of the wire, the next one on top.
        features = Signal(shape.features * shape.value_bits)
        index = Signal(range(shape.features))
        # Frames wait here for their verdicts while the next one's features are already on their way.
        m.submodules.waiting = waiting = Fifo(shape=frame.shape(), depth=Fifo.DEPTH_MIN)
        wiring.connect(m, waiting.o, wiring.flipped(self.frame))
        m.d.comb += [
            waiting.i.payload.eq(frame),
            event.index.eq(index),
            event.value.eq(features[-shape.value_bits :]),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("HEAD") & (waiting.level == 0))
            with m.State("HEAD"):
                m.d.comb += self.beats.ready.eq(1)
                with m.If(self.beats.valid):
                    dlc = beat.data[40:44]
                    m.d.sync += [
                        frame.identifier.eq(beat.data[:29]),
                        frame.extended.eq(beat.data[32]),
                        frame.remote.eq(beat.data[33]),
                        frame.dlc.eq(dlc),
                    ]
                    with m.If(beat.data[40:48] > 8):
                        m.d.sync += frame.dlc.eq(8)
                    m.next = "PAYLOAD"
            with m.State("PAYLOAD"):
                m.d.comb += self.beats.ready.eq(1)
                for number in range(8):
                    byte = beat.data.word_select(number, 8)
                    m.d.sync += frame.data[number].eq(byte & (number < frame.dlc).replicate(8))
                m.d.sync += frame.timestamp.eq(self.now)
                with m.If(self.beats.valid):
                    m.next = "FRAME"
            with m.State("FRAME"):
                m.d.comb += waiting.i.valid.eq(1)
                m.d.sync += [features.eq(self._features(frame)), index.eq(0)]
                with m.If(waiting.i.ready):
                    m.next = "FEATURES"
                    with m.If(frame.extended | frame.remote):
                        m.next = "HEAD"
            with m.State("FEATURES"):
                m.d.comb += [event.kind.eq(EventKind.VALUE), self.events.valid.eq(event.value.any())]
                with m.If(~self.events.valid | self.events.ready):
                    m.d.sync += [features.eq(features << shape.value_bits), index.eq(index + 1)]
                    with m.If(index == shape.features - 1):
                        m.next = "JUDGE"
            for state, kind, after in (
                ("JUDGE", EventKind.JUDGE, "COMMIT"),
                ("COMMIT", EventKind.COMMIT, "HEAD"),
            ):
                with m.State(state):
                    m.d.comb += [event.kind.eq(kind), self.events.valid.eq(1)]
                    with m.If(self.events.ready):
                        m.next = after
        return m

    def _features(self, frame):
        """The features, the first one in the highest bits."""
        payload = Cat(frame.data[number] for number in reversed(range(8)))
        identifier = frame.identifier[:11]
        if self._shape.value_bits == 1:
            return Cat(payload, identifier)
        return Cat(payload, identifier[:8], identifier[8:])  # zeros above fill the first byte
