"""A first-in first-out queue with a registered output, for block or LUT memory."""

from collections.abc import Iterable

from amaranth.hdl import Module, Shape, Value
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Fifo"]


class Fifo(wiring.Component):
    """Hold up to `depth` items and pass them on in order; `level` counts the items held.

    Latency 3 cycles from an empty queue, initiation interval 1 cycle. Full back-pressure; no combinational
    path from one stream to the other. At least 4 deep, which is what full rate takes at this latency: a
    `SkidBuffer` holds two.

    Amaranth's own queue keeps the order and is proven upstream, but its output is the read port of the
    memory, whose slow clock-to-output costs a third of the clock rate on block RAM. The register added here
    is the one that block RAMs have built in.
    """

    LATENCY_CYCLES = 3
    INTERVAL_CYCLES = 1
    DEPTH_MIN = 4

    def __init__(self, *, shape, depth: int):
        if not isinstance(depth, int) or depth < self.DEPTH_MIN:
            raise ValueError(
                f"depth of a Fifo must be an integer of at least {self.DEPTH_MIN}, not {depth!r}; "
                "use a SkidBuffer to hold two items"
            )
        self._shape = shape
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    @staticmethod
    def compute(items: Iterable) -> list:
        """The golden twin: what goes in comes out."""
        return list(items)

    def elaborate(self, platform) -> Module:
        m = Module()
        # Its depth counts the memory and the memory's output latch; the register below holds one more.
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(
            width=Shape.cast(self._shape).width, depth=self.depth - 1
        )
        m.d.comb += [
            queue.w_data.eq(Value.cast(self.i.payload)),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.level.eq(queue.level + self.o.valid),
            queue.r_en.eq(~self.o.valid | self.o.ready),
        ]
        with m.If(queue.r_en):
            m.d.sync += [
                self.o.valid.eq(queue.r_rdy),
                Value.cast(self.o.payload).eq(queue.r_data),
            ]
        return m
