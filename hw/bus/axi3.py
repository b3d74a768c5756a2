"""AXI3, as the processor of a Zynq-7000 speaks it, to AXI4-Lite: for flows without a block design."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import AXI4Lite

__all__ = ["AXI3", "Axi3ToLite"]

_FIXED = 0  #: a burst of one address


class AXI3(wiring.Signature):
    """The ports of an AXI3 master that this bridge looks at."""

    def __init__(self, *, addr_bits: int = 32, id_bits: int = 12):
        self.addr_bits, self.id_bits = addr_bits, id_bits
        address = data.StructLayout({"id": id_bits, "addr": addr_bits, "len": 4, "size": 2, "burst": 2})
        read = data.StructLayout({"id": id_bits, "data": 32, "resp": 2, "last": 1})
        super().__init__(
            {
                "aw": Out(stream.Signature(address)),
                "w": Out(stream.Signature(data.StructLayout({"data": 32, "strb": 4, "last": 1}))),
                "b": In(stream.Signature(data.StructLayout({"id": id_bits, "resp": 2}))),
                "ar": Out(stream.Signature(address)),
                "r": In(stream.Signature(read)),
            }
        )


class Axi3ToLite(wiring.Component):
    """Each beat of a burst becomes an access of its own; writes are answered with the worst response.

    One read and one write burst at a time, each 3 cycles a beat plus what the slave takes. Incrementing and
    fixed bursts; a wrapping one, which no access to device memory makes, goes on as if it incremented. Full
    back-pressure.
    """

    def __init__(self, *, addr_bits: int, id_bits: int = 12):
        self._addr_bits = addr_bits
        super().__init__(
            {"processor": In(AXI3(id_bits=id_bits)), "registers": Out(AXI4Lite(addr_bits=addr_bits))}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self._elaborate_writes(m)
        self._elaborate_reads(m)
        return m

    def _begin(self, m: Module, channel, beat) -> None:
        m.d.sync += [beat.id.eq(channel.p.id), beat.addr.eq(channel.p.addr), beat.left.eq(channel.p.len)]
        m.d.sync += beat.step.eq(Mux(channel.p.burst == _FIXED, 0, 1 << channel.p.size))

    def _beat(self, name: str):
        layout = data.StructLayout(
            {"id": self.processor.aw.p.id.shape(), "addr": self._addr_bits, "left": 4, "step": 3}
        )
        return Signal(layout, name=name)

    def _elaborate_writes(self, m: Module) -> None:
        host, lite, beat = self.processor, self.registers, self._beat("write")
        aw_done, w_done, worst = Signal(), Signal(), Signal(2)
        m.d.comb += [
            lite.aw.p.addr.eq(beat.addr),
            lite.w.p.data.eq(host.w.p.data),
            lite.w.p.strb.eq(host.w.p.strb),
            host.b.p.id.eq(beat.id),
            host.b.p.resp.eq(worst),
        ]
        with m.FSM(name="write_state"):
            with m.State("ADDRESS"):
                m.d.comb += host.aw.ready.eq(1)
                m.d.sync += [worst.eq(0), aw_done.eq(0), w_done.eq(0)]
                with m.If(host.aw.valid):
                    self._begin(m, host.aw, beat)
                    m.next = "BEAT"
            with m.State("BEAT"):
                # The slave may take address and data in any order; each is offered until it is taken.
                m.d.comb += [
                    lite.aw.valid.eq(host.w.valid & ~aw_done),
                    lite.w.valid.eq(host.w.valid & ~w_done),
                ]
                now_aw, now_w = aw_done | lite.aw.ready, w_done | lite.w.ready
                with m.If(host.w.valid):
                    m.d.sync += [aw_done.eq(now_aw), w_done.eq(now_w)]
                    with m.If(now_aw & now_w):
                        m.d.comb += host.w.ready.eq(1)
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += lite.b.ready.eq(1)
                m.d.sync += [aw_done.eq(0), w_done.eq(0)]
                with m.If(lite.b.valid):
                    resp = lite.b.p.resp.as_value()
                    m.d.sync += [
                        worst.eq(Mux(resp > worst, resp, worst)),
                        beat.addr.eq(beat.addr + beat.step),
                        beat.left.eq(beat.left - 1),
                    ]
                    m.next = "BEAT"
                    with m.If(beat.left == 0):
                        m.next = "RESPOND"
            with m.State("RESPOND"):
                m.d.comb += host.b.valid.eq(1)
                with m.If(host.b.ready):
                    m.next = "ADDRESS"

    def _elaborate_reads(self, m: Module) -> None:
        host, lite, beat = self.processor, self.registers, self._beat("read")
        m.d.comb += [
            lite.ar.p.addr.eq(beat.addr),
            host.r.p.id.eq(beat.id),
            host.r.p.data.eq(lite.r.p.data),
            host.r.p.resp.eq(lite.r.p.resp.as_value()),
            host.r.p.last.eq(beat.left == 0),
        ]
        with m.FSM(name="read_state"):
            with m.State("ADDRESS"):
                m.d.comb += host.ar.ready.eq(1)
                with m.If(host.ar.valid):
                    self._begin(m, host.ar, beat)
                    m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += lite.ar.valid.eq(1)
                with m.If(lite.ar.ready):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += [host.r.valid.eq(lite.r.valid), lite.r.ready.eq(host.r.ready)]
                with m.If(lite.r.valid & host.r.ready):
                    m.d.sync += [beat.addr.eq(beat.addr + beat.step), beat.left.eq(beat.left - 1)]
                    m.next = "ASK"
                    with m.If(beat.left == 0):
                        m.next = "ADDRESS"
