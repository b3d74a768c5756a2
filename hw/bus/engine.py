"""What the two DMA engines share: the port for requests, their cutting into bursts, and the soft reset."""

from collections.abc import Sequence

from amaranth.hdl import Module, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Flow, In, Out

from hw.bus.axi import AXI4
from hw.bus.transfer import Burst, BusError, Planner, Stalls, Transfer, check_engine
from hw.stream import ByteBeat

__all__ = ["Engine"]


class Engine(wiring.Component):
    """The half of a `Reader` or a `Writer` that both have; the other half moves beats.

    A subclass says which way `data` goes and which channels of an `AXI4` port it has, and in its `elaborate`
    calls `_plan` first and `_drain` at the end.
    """

    def __init__(
        self,
        *,
        data_flow: Flow,
        channels: Sequence[str],
        data_bits: int,
        addr_bits: int,
        burst_beats: int,
        outstanding: int,
    ):
        check_engine(
            data_bits=data_bits, addr_bits=addr_bits, burst_beats=burst_beats, outstanding=outstanding
        )
        self._data_bits = data_bits
        self._addr_bits = addr_bits
        self._burst_beats = burst_beats
        self._outstanding = outstanding
        self._burst = Burst(data_bits=data_bits, addr_bits=addr_bits)
        bus = AXI4(data_bits=data_bits, addr_bits=addr_bits).members
        super().__init__(
            {
                "request": In(stream.Signature(Transfer(addr_bits))),
                "data": data_flow(stream.Signature(ByteBeat(data_bits))),
                **{channel: bus[channel] for channel in channels},
                "flush": In(1),
                "idle": Out(1),
                "done": Out(1),
                "error": Out(BusError(addr_bits)),
                "stalls": Out(Stalls),
            }
        )

    def _plan(self, m: Module) -> tuple[Value, Signal, Planner]:
        """Requests to bursts. Returns whether everything is being dropped; whether that is because something
        is still in flight after a flush; and the planner, which such a time resets.
        """
        draining = Signal()  # from a flush on, until nothing is in flight
        clearing = self.flush | draining
        planner = Planner(data_bits=self._data_bits, addr_bits=self._addr_bits, burst_beats=self._burst_beats)
        m.submodules.planner = ResetInserter(clearing)(planner)
        m.d.comb += [
            planner.i.payload.eq(self.request.payload),
            planner.i.valid.eq(self.request.valid),
            self.request.ready.eq(planner.i.ready | clearing),
        ]
        return clearing, draining, planner

    def _drain(self, m: Module, draining: Signal, *, quiet: Value, empty: Value) -> None:
        """`quiet`: nothing is in flight on the bus; `empty`: nothing is inside."""
        with m.If(self.flush):
            m.d.sync += draining.eq(1)
        with m.Elif(quiet):
            m.d.sync += draining.eq(0)
        m.d.comb += self.idle.eq(quiet & empty & (self.flush | ~draining))
