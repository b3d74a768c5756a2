"""Several streams share one, packet by packet, in turn."""

from collections import deque
from collections.abc import Iterable, Sequence

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .packet import is_packet

__all__ = ["Arbiter"]


class Arbiter(wiring.Component):
    """Grant the output to one of `n` inputs in rotation; hold the grant until the packet's `last` item.

    Each output item is `{"item": ..., "source": index of its input}`. A shape without a field `last` (see
    `packet`) is arbitrated item by item. Latency 0 cycles, initiation interval 1 cycle, also from packet to
    packet. Full back-pressure. Fair: while an input waits, each other input gets at most one packet through.
    """

    LATENCY_CYCLES = 0
    INTERVAL_CYCLES = 1

    def __init__(self, *, shape, n: int):
        if not isinstance(n, int) or n < 2:
            raise ValueError(f"n of an Arbiter, its number of inputs, must be at least 2, not {n!r}")
        self.n = n
        self.packets = is_packet(shape)
        granted = data.StructLayout({"item": shape, "source": range(n)})
        super().__init__({"i": In(stream.Signature(shape)).array(n), "o": Out(stream.Signature(granted))})

    def compute(self, items: Sequence[Iterable]) -> list[dict]:
        """The golden twin: the order in which inputs that never run dry are served."""
        waiting = [deque(queue) for queue in items]
        served: list[dict] = []
        turn = 0
        while any(waiting):
            source = turn % self.n
            turn += 1
            while waiting[source]:
                item = waiting[source].popleft()
                served.append({"item": item, "source": source})
                if not self.packets or item["last"]:
                    break
                if not waiting[source]:
                    return served  # a packet without an end keeps its grant for ever
        return served

    def elaborate(self, platform) -> Module:
        m = Module()
        grant = Signal(range(self.n))
        holder = Signal(range(self.n), init=self.n - 1)
        locked = Signal()
        last = Signal()

        m.d.comb += grant.eq(holder)
        with m.If(~locked), m.Switch(holder):
            for turn in range(self.n):
                with m.Case(turn):
                    self._grant_first_after(m, turn, grant)
        with m.Switch(grant):
            for index, source in enumerate(self.i):
                with m.Case(index):
                    m.d.comb += [
                        self.o.valid.eq(source.valid),
                        self.o.payload.item.eq(source.payload),
                        source.ready.eq(self.o.ready),
                        last.eq(source.payload.last if self.packets else Const(1)),
                    ]
        m.d.comb += self.o.payload.source.eq(grant)
        # An offer locks too, not only a packet: the output must not change while it is stalled.
        with m.If(self.o.valid):
            m.d.sync += [holder.eq(grant), locked.eq(~(self.o.ready & last))]
        return m

    def _grant_first_after(self, m: Module, turn: int, grant: Signal) -> None:
        """The nearest valid input after `turn`, which itself comes last."""
        for distance in range(self.n, 0, -1):
            index = (turn + distance) % self.n
            with m.If(self.i[index].valid):
                m.d.comb += grant.eq(index)
