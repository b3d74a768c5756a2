"""Two read engines on one AXI4 read port: addresses in turn, data back to whoever asked."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import AXI4
from hw.stream import Arbiter, Fifo, SkidBuffer

__all__ = ["ReadShare"]


class ReadShare(wiring.Component):
    """`readers[n].ar` and `.r` behave as a port of their own; answers come in order, so a queue tells whose.

    Latency 1 cycle for addresses, 0 for data. At most `outstanding` bursts are in flight together.
    """

    def __init__(self, *, n: int, data_bits: int, addr_bits: int = 40, outstanding: int = 16):
        self._n, self._outstanding = n, outstanding
        bus = AXI4(data_bits=data_bits, addr_bits=addr_bits).members
        self._ar = bus["ar"].signature.members["payload"].shape
        port = wiring.Signature({"ar": bus["ar"], "r": bus["r"]})
        super().__init__({"readers": In(port).array(n), "ar": bus["ar"], "r": bus["r"], "idle": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.arbiter = arbiter = Arbiter(shape=self._ar, n=self._n)
        m.submodules.asked = asked = Fifo(shape=range(self._n), depth=self._outstanding)
        for index, reader in enumerate(self.readers):
            # Or every stall of the memory would reach the registers of every reader within the cycle.
            m.submodules[f"address_{index}"] = address = SkidBuffer(shape=self._ar)
            m.d.comb += [
                address.i.payload.eq(reader.ar.payload),
                address.i.valid.eq(reader.ar.valid),
                reader.ar.ready.eq(address.i.ready),
                reader.r.payload.eq(self.r.payload),
                reader.r.valid.eq(self.r.valid & asked.o.valid & (asked.o.payload == index)),
            ]
            wiring.connect(m, address.o, arbiter.i[index])
            with m.If(asked.o.payload == index):
                m.d.comb += self.r.ready.eq(reader.r.ready & asked.o.valid)
        # The level is two cycles old when it counts, and in both an address may have left.
        room, held = Signal(), Signal()
        m.d.sync += room.eq(asked.level <= self._outstanding - 4)
        m.d.comb += [
            self.ar.payload.eq(arbiter.o.payload.item),
            asked.i.payload.eq(arbiter.o.payload.source),
            asked.o.ready.eq(self.r.valid & self.r.ready & self.r.payload.last),
            self.idle.eq((asked.level == 0) & ~arbiter.o.valid),
        ]
        # An address that is offered must stay offered.
        m.d.sync += held.eq(self.ar.valid & ~self.ar.ready)
        may = room | held
        m.d.comb += [
            self.ar.valid.eq(arbiter.o.valid & may),
            arbiter.o.ready.eq(self.ar.ready & may),
            asked.i.valid.eq(arbiter.o.valid & may & self.ar.ready),
        ]
        return m
