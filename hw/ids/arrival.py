"""The frame in flight as events for the network: each feature as soon as its last bit was sampled."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.can.receiver import InFrameSignature
from hw.dataflow.window_layer import EventKind, event_layout
from hw.stream import Fifo
from models.program.pipeline_shape import WindowShape

__all__ = ["Arrival", "byte_features"]

IDENTIFIER_BITS = 11
QUEUE_DEPTH = 16


def byte_features(index: int) -> tuple[int, bool]:
    """Golden: the byte feature that bit `index` of a frame belongs to, and whether that bit ends it.

    The identifier is two bytes, of which the first has three bits; then come the eight of the payload.
    """
    if index < IDENTIFIER_BITS:
        return (0, index == 2) if index < 3 else (1, index == 10)
    return 2 + (index - IDENTIFIER_BITS) // 8, (index - IDENTIFIER_BITS) % 8 == 7


class Arrival(wiring.Component):
    """Turns the strobes of a `Receiver` into the events of a `WindowLayer`.

    A VALUE for each feature bit that is one, or for each byte that is not zero; JUDGE when all features are
    known; COMMIT when every node has accepted the frame; ABORT when it came to nothing. An event is offered
    `LATENCY_CYCLES` after its strobe; the strobes of one bit become events in consecutive cycles.

    Back-pressure: the bus does not wait, so `QUEUE_DEPTH` events are held. If that is not enough the window
    can no longer be trusted: `lost` pulses, nothing more of this frame is passed on, and its ABORT follows.
    """

    LATENCY_CYCLES = Fifo.LATENCY_CYCLES + 1

    def __init__(self, *, shape: WindowShape):
        if (shape.value_bits, shape.features) not in ((1, 75), (8, 10)):
            raise ValueError(
                "frames enter as 75 features of 1 bit or 10 of 8 bits, "
                f"not {shape.features!r} of {shape.value_bits!r} bits"
            )
        self._shape = shape
        super().__init__(
            {
                "in_frame": In(InFrameSignature()),
                #: Low: events are not passed on, as if no frame came.
                "enable": In(1),
                "events": Out(stream.Signature(event_layout(shape))),
                "lost": Out(1),
                #: A frame is being passed on.
                "busy": Out(1),
                #: From its JUDGE to the next start of frame: there will be a verdict on this frame.
                "judged": Out(1),
                #: The frame came to nothing after its JUDGE: its verdict belongs to nobody.
                "orphaned": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.queue = queue = Fifo(shape=event_layout(self._shape), depth=QUEUE_DEPTH)
        wiring.connect(m, queue.o, wiring.flipped(self.events))
        strobes = self.in_frame

        active, good = Signal(), Signal()  # a frame is passed on; its CRC was right
        value_due, judge_due, end_due, end_kind = Signal(), Signal(), Signal(), Signal(EventKind)
        index, value = Signal(range(self._shape.features)), Signal(self._shape.value_bits)
        m.d.comb += [
            self.busy.eq(active | end_due),
            self.orphaned.eq(strobes.abort & active & self.judged),
        ]
        with m.If(strobes.start):
            m.d.sync += [active.eq(self.enable), good.eq(0), value.eq(0), self.judged.eq(0)]
        with m.If(strobes.bit_valid & active):
            self._collect(m, index, value, value_due)
        with m.If(strobes.last_data & active):
            m.d.sync += judge_due.eq(1)
        with m.If(strobes.commit & active):
            m.d.sync += good.eq(1)
        with m.If((strobes.abort | ((strobes.accepted | strobes.rejected) & good)) & active):
            m.d.sync += [
                end_due.eq(1),
                end_kind.eq(Mux(strobes.accepted, EventKind.COMMIT, EventKind.ABORT)),
                active.eq(0),
                good.eq(0),
            ]

        # One event a cycle, in the order in which they belong.
        event = queue.i.payload
        m.d.comb += [event.index.eq(index), event.value.eq(value), event.kind.eq(EventKind.VALUE)]
        with m.If(value_due):
            m.d.comb += queue.i.valid.eq(value.any())
            m.d.sync += value_due.eq(0)
        with m.Elif(judge_due):
            m.d.comb += [queue.i.valid.eq(1), event.kind.eq(EventKind.JUDGE)]
            m.d.sync += [judge_due.eq(0), self.judged.eq(queue.i.ready)]
        with m.Elif(end_due):
            m.d.comb += [queue.i.valid.eq(1), event.kind.eq(end_kind)]
            m.d.sync += end_due.eq(~queue.i.ready)  # an end is never lost: it waits for room
        with m.If(queue.i.valid & ~queue.i.ready & ~(end_due & ~value_due & ~judge_due)):
            m.d.comb += self.lost.eq(1)
            m.d.sync += [active.eq(0), judge_due.eq(0), end_due.eq(1), end_kind.eq(EventKind.ABORT)]
        return m

    def _collect(self, m: Module, index: Signal, value: Signal, value_due: Signal) -> None:
        """Gather the bits of one feature."""
        strobes = self.in_frame
        if self._shape.value_bits == 1:
            m.d.sync += [index.eq(strobes.index), value.eq(strobes.bit), value_due.eq(1)]
            return
        number = Signal(range(IDENTIFIER_BITS + 64))
        payload_bit = Signal(range(64))
        begins, ends = Signal(), Signal()
        m.d.comb += [
            number.eq(strobes.index),
            payload_bit.eq(number - IDENTIFIER_BITS),
            begins.eq((number == 0) | (number == 3) | ((number >= IDENTIFIER_BITS) & (payload_bit[:3] == 0))),
            ends.eq((number == 2) | (number == 10) | ((number >= IDENTIFIER_BITS) & (payload_bit[:3] == 7))),
        ]
        m.d.sync += value.eq(Cat(strobes.bit, Mux(begins, Const(0, 7), value[:7])))
        m.d.sync += index.eq(Mux(number < IDENTIFIER_BITS, number > 2, 2 + payload_bit[3:]))
        m.d.sync += value_due.eq(ends)
