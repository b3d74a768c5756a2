"""AXI4-Lite inside an overlay: what a slave of words needs, and a decoder for several slaves on one port.

Both keep one transaction in flight each way: control traffic is rare, and the few cycles matter to nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import AXI4Lite, Response

__all__ = ["AXI4LiteDecoder", "AXI4LiteWords", "Window", "write_is_aligned"]


def write_is_aligned(addr: int, strb: int) -> bool:
    """Whether a write is taken: at a word, or at the first byte that it strobes."""
    return addr % 4 == 0 or strb & -strb == 1 << addr % 4


class AXI4LiteWords(wiring.Component):
    """Turns an AXI4-Lite port into single-cycle reads and writes of 32-bit words.

    A write happens in the cycle in which `write` is high, two cycles after the later of its address and its
    data was accepted, or after the answer before it was, and is answered in the next cycle; a write every
    third cycle to a host that takes answers at once. A read happens in the cycle in which `read` is high, one
    cycle after its address was accepted; `read_data` is looked at in the cycle after, and answered in the
    next; a read every fourth cycle. Address and data of a write may come in either order, any time apart.
    Between the bus and the words lie registers both ways, and the check of an address and the choice of a
    word have cycles of their own: a map of a hundred words must not limit the clock.

    SLVERR answers an address beyond the last word, and one within a word, but for a write whose first strobe
    is the byte it names, as masters send parts of words. Then neither `write` nor `read` rises, and the data
    read is zero.
    """

    READ_LATENCY = 3
    WRITE_LATENCY = 3
    #: From `read` to its `read_data`.
    DATA_CYCLES = 1

    def __init__(self, *, words: int, addr_bits: int):
        if not 1 <= words <= 1 << (addr_bits - 2):
            raise ValueError(
                f"words must be in 1 .. {1 << (addr_bits - 2)} for {addr_bits} address bits, not {words!r}"
            )
        self._words = words
        index_bits = addr_bits - 2
        super().__init__(
            {
                "bus": In(AXI4Lite(addr_bits=addr_bits)),
                "write": Out(1),
                "write_index": Out(index_bits),
                "write_data": Out(32),
                "write_mask": Out(32),  # the strobes, a bit a bit
                "read": Out(1),
                "read_index": Out(index_bits),
                "read_data": In(32),  # `DATA_CYCLES` after `read`
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self._elaborate_write(m)
        self._elaborate_read(m)
        return m

    def _elaborate_write(self, m: Module) -> None:
        aw, w, b = self.bus.aw, self.bus.w, self.bus.b
        addr, addr_held = Signal(len(aw.payload.addr)), Signal()
        data, strb, data_held = Signal(32), Signal(4), Signal()
        m.d.comb += [
            aw.ready.eq(~addr_held),
            w.ready.eq(~data_held),
            self.write_index.eq(addr[2:]),
            self.write_data.eq(data),
            self.write_mask.eq(Cat(strobe.replicate(8) for strobe in strb)),
        ]
        with m.If(aw.valid & aw.ready):
            m.d.sync += [addr.eq(aw.payload.addr), addr_held.eq(1)]
        with m.If(w.valid & w.ready):
            m.d.sync += [data.eq(w.payload.data), strb.eq(w.payload.strb), data_held.eq(1)]
        with m.If(b.valid & b.ready):
            m.d.sync += b.valid.eq(0)
        first_strobe = [strb[lane] & ~strb[:lane].any() for lane in range(1, 4)]
        aligned = Array([Const(1), *first_strobe])[addr[:2]]
        is_word = aligned & (addr[2:] < self._words)
        # Room for the response is looked for a cycle early, so that `write`, which reaches every register, is
        # one itself.
        due, checked = Signal(), Signal()
        m.d.comb += due.eq(addr_held & data_held & ~b.valid & ~checked)
        m.d.sync += [checked.eq(due), self.write.eq(due & is_word)]
        with m.If(checked):
            m.d.sync += [
                addr_held.eq(0),
                data_held.eq(0),
                b.valid.eq(1),
                b.payload.resp.eq(Mux(self.write, Response.OKAY, Response.SLVERR)),
            ]

    def _elaborate_read(self, m: Module) -> None:
        ar, r = self.bus.ar, self.bus.r
        addr = Signal(len(ar.payload.addr))
        idle, asked, answered, good = Signal(init=1), Signal(), Signal(), Signal()
        is_word = (addr[:2] == 0) & (addr[2:] < self._words)
        m.d.comb += [
            ar.ready.eq(idle),
            self.read.eq(asked & is_word),
            self.read_index.eq(addr[2:]),
        ]
        m.d.sync += [asked.eq(ar.valid & ar.ready), answered.eq(asked), good.eq(is_word)]
        with m.If(r.valid & r.ready):
            m.d.sync += [r.valid.eq(0), idle.eq(1)]
        with m.If(ar.valid & ar.ready):
            m.d.sync += [addr.eq(ar.payload.addr), idle.eq(0)]
        with m.If(answered):
            m.d.sync += [
                r.valid.eq(1),
                r.payload.data.eq(Mux(good, self.read_data, 0)),
                r.payload.resp.eq(Mux(good, Response.OKAY, Response.SLVERR)),
            ]


@dataclass(frozen=True, kw_only=True)
class Window:
    """Addresses `base` .. `base + size - 1`; the size is a power of two, the base a multiple of it."""

    base: int
    size: int

    def __post_init__(self) -> None:
        if self.size < 4 or self.size & (self.size - 1):
            raise ValueError(f"the size of a window must be a power of two and at least 4, not {self.size!r}")
        if self.base < 0 or self.base % self.size:
            raise ValueError(
                f"the base of a window must be a multiple of its size {self.size:#x}, not {self.base:#x}"
            )

    @property
    def addr_bits(self) -> int:
        return self.size.bit_length() - 1

    def overlaps(self, other: "Window") -> bool:
        return self.base < other.base + other.size and other.base < self.base + self.size


class AXI4LiteDecoder(wiring.Component):
    """Passes each transaction of `bus` to the window its address lies in; DECERR and zeros elsewhere.

    A member for each window, under its name, sees the address within the window. One transaction in flight
    each way, in order; the decoder adds one cycle before the slave and none after it.
    """

    ADDED_LATENCY = 1

    def __init__(self, *, addr_bits: int, windows: Mapping[str, Window]):
        self._windows = dict(windows)
        for name, window in self._windows.items():
            if window.base + window.size > 1 << addr_bits:
                raise ValueError(f"window {name} ends past the {addr_bits} address bits of the port")
            for other_name, other in self._windows.items():
                if name < other_name and window.overlaps(other):
                    raise ValueError(f"windows {name} and {other_name} overlap")
        super().__init__(
            {"bus": In(AXI4Lite(addr_bits=addr_bits))}
            | {name: Out(AXI4Lite(addr_bits=window.addr_bits)) for name, window in self._windows.items()}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        slaves = [(window, getattr(self, name)) for name, window in self._windows.items()]
        self._elaborate_write(m, slaves)
        self._elaborate_read(m, slaves)
        return m

    def _elaborate_write(self, m: Module, slaves) -> None:
        aw, w, b = self.bus.aw, self.bus.w, self.bus.b
        held_aw, held_w = Signal(aw.payload.shape()), Signal(w.payload.shape())
        # An address or word is first held, then also sent; both flags fall with the response.
        aw_held, aw_sent, w_held, w_sent = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [aw.ready.eq(~aw_held), w.ready.eq(~w_held)]
        with m.If(aw.valid & aw.ready):
            m.d.sync += [held_aw.eq(aw.payload), aw_held.eq(1)]
        with m.If(w.valid & w.ready):
            m.d.sync += [held_w.eq(w.payload), w_held.eq(1)]

        nowhere = Const(1)
        for window, slave in slaves:
            here = held_aw.addr[window.addr_bits :] == window.base >> window.addr_bits
            nowhere = nowhere & ~here
            m.d.comb += [
                slave.aw.payload.addr.eq(held_aw.addr),
                slave.aw.payload.prot.eq(held_aw.prot),
                slave.aw.valid.eq(aw_held & ~aw_sent & here),
                slave.w.payload.eq(held_w),
                slave.w.valid.eq(aw_held & w_held & ~w_sent & here),
            ]
            with m.If(slave.aw.valid & slave.aw.ready):
                m.d.sync += aw_sent.eq(1)
            with m.If(slave.w.valid & slave.w.ready):
                m.d.sync += w_sent.eq(1)
            with m.If(aw_sent & w_sent & here):
                m.d.comb += [
                    b.valid.eq(slave.b.valid),
                    b.payload.eq(slave.b.payload),
                    slave.b.ready.eq(b.ready),
                ]
        with m.If(aw_held & w_held & nowhere):
            m.d.comb += [b.valid.eq(1), b.payload.resp.eq(Response.DECERR)]
        with m.If(b.valid & b.ready):
            m.d.sync += [flag.eq(0) for flag in (aw_held, aw_sent, w_held, w_sent)]

    def _elaborate_read(self, m: Module, slaves) -> None:
        ar, r = self.bus.ar, self.bus.r
        held, is_held, is_sent = Signal(ar.payload.shape()), Signal(), Signal()
        m.d.comb += ar.ready.eq(~is_held)
        with m.If(ar.valid & ar.ready):
            m.d.sync += [held.eq(ar.payload), is_held.eq(1)]

        nowhere = Const(1)
        for window, slave in slaves:
            here = held.addr[window.addr_bits :] == window.base >> window.addr_bits
            nowhere = nowhere & ~here
            m.d.comb += [
                slave.ar.payload.addr.eq(held.addr),
                slave.ar.payload.prot.eq(held.prot),
                slave.ar.valid.eq(is_held & ~is_sent & here),
            ]
            with m.If(slave.ar.valid & slave.ar.ready):
                m.d.sync += is_sent.eq(1)
            with m.If(is_sent & here):
                m.d.comb += [
                    r.valid.eq(slave.r.valid),
                    r.payload.eq(slave.r.payload),
                    slave.r.ready.eq(r.ready),
                ]
        with m.If(is_held & nowhere):
            m.d.comb += [r.valid.eq(1), r.payload.resp.eq(Response.DECERR)]
        with m.If(r.valid & r.ready):
            m.d.sync += [is_held.eq(0), is_sent.eq(0)]
