"""The AXI4 write engine: stream to memory."""

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.bus.axi import Response
from hw.bus.engine import Engine
from hw.bus.realign import Spread, WriteBeat
from hw.bus.transfer import BURST_BEATS, drive_address
from hw.stream import ByteBeat, Fifo, SkidBuffer

__all__ = ["Writer"]


class Writer(Engine):
    """Write each requested `Transfer` with bytes from `data`, which come packed from lane 0.

    Initiation interval 1 beat a cycle. A transfer takes ceil(length / bytes a beat) beats of `data`; the
    length alone counts, `keep` and `last` are not looked at. Strobes leave the bytes around a transfer
    untouched.

    The bus is never blocked: the address of a burst is given only when all its data is in the buffer
    (four bursts, at least 16 beats), so a slow source cannot hold an interconnect that others use. That
    costs a burst's length of latency once, no throughput. Up to `outstanding` bursts await their
    response.

    `done` pulses once a transfer, in order, with its last response: the data is in memory. A transfer of
    length zero takes no data and gives `done`. `error` pulses for each burst with an error response, with
    the burst's address; the transfer goes on, so nothing hangs. A transfer beyond the address space takes
    no data and gives `error` (DECERR, the transfer's address), then `done`; the data meant for it is
    still in the source.

    `flush`, for one cycle or longer, is a soft reset: offered requests and data are dropped, bursts whose
    address was given are completed with their data (it is all in the buffer, and the bus wants it),
    everything else is dropped, and `idle` rises after the last response. No `error` or `done` meanwhile.

    Connect `aw`, `w` and `b` to those of an `AXI4` port.
    """

    BUFFERED_BURSTS = 4

    def __init__(
        self, *, data_bits: int, addr_bits: int = 40, burst_beats: int = BURST_BEATS, outstanding: int = 8
    ):
        super().__init__(
            data_flow=In,
            channels=("aw", "w", "b"),
            data_bits=data_bits,
            addr_bits=addr_bits,
            burst_beats=burst_beats,
            outstanding=outstanding,
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        clearing, draining, planner = self._plan(m)
        granted = Signal(range(self._outstanding + 1))  # bursts whose address was given and data was not

        # Registers both ways between the planner and the spreading of its bursts over the beats.
        planned = SkidBuffer(shape=self._burst)
        entry = SkidBuffer(shape=ByteBeat(self._data_bits))
        spread = Spread(data_bits=self._data_bits, addr_bits=self._addr_bits)
        buffered = Fifo(shape=self._burst, depth=max(Fifo.DEPTH_MIN, self.BUFFERED_BURSTS))
        for name, unit in (("planned", planned), ("entry", entry), ("buffered", buffered)):
            m.submodules[name] = ResetInserter(clearing)(unit)
        # Bursts whose address was given still need their data, of which the last beat may be in `spread`. No
        # address is given while all is dropped, and nothing comes as far as here in the cycle after: so a
        # register does, of which many bits are reset.
        unneeded = Signal()
        m.d.sync += unneeded.eq(clearing & (granted == 0))
        m.submodules.spread = ResetInserter(unneeded)(spread)
        beats = Fifo(
            shape=WriteBeat(self._data_bits), depth=max(16, self.BUFFERED_BURSTS * self._burst_beats)
        )
        m.submodules.beats = ResetInserter(unneeded)(beats)
        m.submodules.awaited = awaited = Fifo(shape=self._burst, depth=self._outstanding)

        m.d.comb += [
            entry.i.payload.eq(self.data.payload),
            entry.i.valid.eq(self.data.valid),
            self.data.ready.eq(entry.i.ready | clearing),
        ]
        wiring.connect(m, entry.o, spread.i)
        wiring.connect(m, planner.o, planned.i)
        wiring.connect(m, planned.o, spread.burst)
        wiring.connect(m, spread.o, beats.i)
        wiring.connect(m, spread.written, buffered.i)

        grant = self._give_address(m, clearing, buffered, awaited)
        self._give_data(m, granted, grant, beats)
        self._take_response(m, clearing, awaited)

        quiet = (awaited.level == 0) & ~self.aw.valid & (granted == 0)
        empty = planner.idle & ~planned.o.valid & (buffered.level == 0) & ~spread.o.valid & (beats.level == 0)
        self._drain(m, draining, quiet=quiet, empty=empty)
        m.d.comb += [
            self.stalls.address.eq(self.aw.valid & ~self.aw.ready),
            self.stalls.data.eq(spread.starved),
            self.stalls.sink.eq(self.w.valid & ~self.w.ready),
        ]
        return m

    def _give_address(self, m: Module, clearing, buffered: Fifo, awaited: Fifo):
        """Give the address of each buffered burst; return whether one is given in this cycle."""
        burst = buffered.o.payload
        move = Signal()
        grant = Signal()
        m.d.comb += [
            move.eq(
                buffered.o.valid
                & ~clearing
                & awaited.i.ready
                & (burst.empty | ~self.aw.valid | self.aw.ready)
            ),
            grant.eq(move & ~burst.empty),
            buffered.o.ready.eq(move),
            awaited.i.valid.eq(move),
            awaited.i.payload.eq(burst),
        ]
        with m.If(self.aw.ready):
            m.d.sync += self.aw.valid.eq(0)
        with m.If(grant):
            m.d.sync += self.aw.valid.eq(1)
            drive_address(m, self.aw.payload, burst, self._data_bits)
        return grant

    def _give_data(self, m: Module, granted, grant, beats: Fifo) -> None:
        may = granted != 0
        sent = self.w.valid & self.w.ready & self.w.payload.last
        m.d.comb += [
            self.w.valid.eq(beats.o.valid & may),
            beats.o.ready.eq(self.w.ready & may),
        ]
        m.d.comb += [self.w.payload[name].eq(beats.o.payload[name]) for name in ("data", "strb", "last")]
        m.d.sync += granted.eq(granted + grant - sent)

    def _take_response(self, m: Module, clearing, awaited: Fifo) -> None:
        burst = awaited.o.payload
        step = Signal()
        m.d.comb += [
            self.b.ready.eq(awaited.o.valid & ~burst.empty),
            step.eq(awaited.o.valid & (burst.empty | self.b.valid)),
            awaited.o.ready.eq(step),
        ]
        # SLVERR and DECERR have the high bit; EXOKAY is no error.
        failed = step & self.b.payload.resp.as_value()[1]
        m.d.sync += [
            self.error.valid.eq(~clearing & (failed & ~burst.empty | step & burst.refused)),
            self.error.resp.eq(self.b.payload.resp),
            self.error.addr.eq(burst.addr),
            self.done.eq(~clearing & step & burst.last),
        ]
        with m.If(burst.empty):
            m.d.sync += self.error.resp.eq(Response.DECERR)
