"""The AXI4 read engine: memory to stream."""

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hw.bus.axi import Response
from hw.bus.engine import Engine
from hw.bus.realign import BusBeat, Pack
from hw.bus.transfer import BURST_BEATS, Planner, drive_address
from hw.stream import ByteBeat, Fifo, SkidBuffer

__all__ = ["Reader"]


class Reader(Engine):
    """Read each requested `Transfer` and pass its bytes on, packed from lane 0, as one packet.

    Initiation interval 1 beat a cycle. `ADDRESS_CYCLES` from a request to its first read address,
    `DATA_CYCLES` from a beat on the bus to `data`. The bus is never blocked: a burst is asked for only
    when the buffer, `outstanding * burst_beats` beats, has room for all of it, so `r.ready` is always
    high when data comes. Up to `outstanding` bursts are in flight, across transfers too. Full back-
    pressure on `data`.

    `done` pulses once a transfer, in order, when its last beat has left the buffer (`data` may still be
    up to four cycles behind). A transfer of length zero gives `done` and no data. `error` pulses for each
    beat with an error response, with that beat's address; the beat is delivered all the same, so nothing
    hangs. A transfer beyond the address space gives `error` (DECERR, the transfer's address), then
    `done`, no data.

    `flush`, for one cycle or longer, is a soft reset: offered requests are dropped, nothing new is asked
    for, what is in flight is taken and thrown away, without `error` or `done`, and `idle` rises. `data`
    is withdrawn in that very cycle, even while stalled: reset its sink with the same signal.

    Connect `ar` and `r` to those of an `AXI4` port.
    """

    ADDRESS_CYCLES = Planner.LATENCY_CYCLES + 1
    DATA_CYCLES = Fifo.LATENCY_CYCLES + 1 + Pack.LATENCY_CYCLES + SkidBuffer.LATENCY_CYCLES

    def __init__(
        self, *, data_bits: int, addr_bits: int = 40, burst_beats: int = BURST_BEATS, outstanding: int = 8
    ):
        super().__init__(
            data_flow=Out,
            channels=("ar", "r"),
            data_bits=data_bits,
            addr_bits=addr_bits,
            burst_beats=burst_beats,
            outstanding=outstanding,
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        clearing, draining, planner = self._plan(m)
        m.submodules.bursts = bursts = Fifo(
            shape=self._burst, depth=self._outstanding
        )  # asked for, not yet read
        m.submodules.beats = beats = Fifo(
            shape=self.r.payload.shape(), depth=self._outstanding * self._burst_beats
        )
        # A register stage of its own before the rotation; its `ready` is a register, too.
        staged = SkidBuffer(shape=BusBeat(self._data_bits))
        m.submodules.staged = ResetInserter(clearing)(staged)
        pack = Pack(data_bits=self._data_bits)
        m.submodules.pack = ResetInserter(clearing)(pack)
        out = SkidBuffer(shape=ByteBeat(self._data_bits))
        m.submodules.out = ResetInserter(clearing)(out)

        wiring.connect(m, staged.o, pack.i)
        wiring.connect(m, pack.o, out.i)
        m.d.comb += [
            self.data.payload.eq(out.o.payload),
            self.data.valid.eq(out.o.valid & ~clearing),
            out.o.ready.eq(self.data.ready),
        ]
        wiring.connect(m, wiring.flipped(self.r), beats.i)

        self._ask(m, clearing, planner, bursts)
        self._take(m, clearing, bursts, beats, staged.i)

        quiet = (bursts.level == 0) & ~self.ar.valid & ~staged.o.valid
        self._drain(m, draining, quiet=quiet, empty=planner.idle & pack.idle & ~out.o.valid)
        m.d.comb += [
            self.stalls.address.eq(self.ar.valid & ~self.ar.ready),
            self.stalls.data.eq(bursts.o.valid & ~bursts.o.payload.empty & ~beats.o.valid),
            self.stalls.sink.eq(self.data.valid & ~self.data.ready),
        ]
        return m

    def _ask(self, m: Module, clearing, planner: Planner, bursts: Fifo) -> None:
        """Ask for a planned burst; `bursts` holds it until its last beat is out, so the buffer has room."""
        burst = planner.o.payload
        move = Signal()
        m.d.comb += [
            move.eq(
                planner.o.valid & ~clearing & bursts.i.ready & (burst.empty | ~self.ar.valid | self.ar.ready)
            ),
            planner.o.ready.eq(move),
            bursts.i.valid.eq(move),
            bursts.i.payload.eq(burst),
        ]
        with m.If(self.ar.ready):
            m.d.sync += self.ar.valid.eq(0)
        with m.If(move & ~burst.empty):
            m.d.sync += self.ar.valid.eq(1)
            drive_address(m, self.ar.payload, burst, self._data_bits)

    def _take(self, m: Module, clearing, bursts: Fifo, beats: Fifo, staged) -> None:
        """Match what comes out of the buffer with the bursts asked for; pass it on to `staged`."""
        burst = bursts.o.payload
        beat = beats.o.payload
        lane_bits = len(burst.offset)
        beat_bits = (self._burst_beats - 1).bit_length()
        index = Signal(8)
        ends = index == burst.len
        free = staged.ready | clearing
        step = Signal()
        skip = Signal()
        block = burst.addr[lane_bits + beat_bits :]
        word = (burst.addr[lane_bits : lane_bits + beat_bits] + index)[:beat_bits]
        m.d.comb += [
            step.eq(bursts.o.valid & ~burst.empty & beats.o.valid & free),
            skip.eq(bursts.o.valid & burst.empty),
            beats.o.ready.eq(bursts.o.valid & ~burst.empty & free),
            bursts.o.ready.eq((step & ends) | skip),
            staged.valid.eq(bursts.o.valid & ~burst.empty & beats.o.valid & ~clearing),
            staged.payload.data.eq(beat.data),
            staged.payload.first.eq(burst.first & (index == 0)),
            staged.payload.last.eq(burst.last & ends),
            staged.payload.offset.eq(burst.offset),
            staged.payload.tail.eq(burst.tail),
        ]
        with m.If(step):
            m.d.sync += index.eq(Mux(ends, 0, index + 1))
        # SLVERR and DECERR have the high bit; EXOKAY is no error.
        failed = step & beat.resp.as_value()[1]
        m.d.sync += [
            self.error.valid.eq(~clearing & (failed | (skip & burst.refused))),
            self.error.resp.eq(beat.resp),
            self.error.addr.eq(Cat(Const(0, lane_bits), word, block)),
            self.done.eq(~clearing & bursts.o.ready & bursts.o.valid & burst.last),
        ]
        with m.If(skip):
            m.d.sync += [self.error.resp.eq(Response.DECERR), self.error.addr.eq(burst.addr)]
