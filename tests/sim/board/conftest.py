"""An overlay made for looking at the board itself: a burst in, a burst out, pins, bad manners on request."""

from enum import IntEnum

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out

from hw.bus.register_map import Access, Field, Register
from hw.overlay.base import Overlay
from hw.overlay.package import package
from sim.board import simulated_board

BEATS_MAX = 16


class Manners(IntEnum):
    """What the register MANNERS makes the master do."""

    GOOD = 0
    HANG = 1  #: stay busy for ever
    CROSS = 2  #: a read burst over a 4 KiB boundary
    SHORT = 3  #: no WLAST
    FIDGET = 4  #: another read address in each cycle
    WITHDRAW = 5  #: a read address that comes and goes


class Probe(Overlay):
    """Reads BEATS beats of 64 bits at SOURCE, adds ADDEND to each, writes them to DESTINATION."""

    def __init__(self):
        super().__init__(
            name="probe",
            version=(1, 0),
            errors=("read", "write"),
            stalls=("read",),
            registers=(
                Register(name="CONTROL", fields=[Field(name="START", access=Access.PULSE)]),
                Register.word("SOURCE"),
                Register.word("DESTINATION"),
                Register.word("BEATS", bits=5, reset=1),
                Register.word("ADDEND"),
                Register.word("MANNERS", bits=3),
                Register.word("EDGES", access=Access.READ_ONLY),
            ),
            memory_data_bits=64,
            pins={"pulse": In(1), "level": Out(4), "wide_in": In(100), "wide_out": Out(100)},
        )

    def build(self, m: Module, shell) -> None:
        bank, bus = shell.registers, self.memory
        m.submodules.store = store = memory.Memory(shape=64, depth=BEATS_MAX, init=[])
        write_port, read_port = store.write_port(), store.read_port(domain="comb")
        beat, failed = Signal(5), Signal()
        last = beat == bank.beats - 1
        fidget = Signal(3)
        m.d.sync += fidget.eq(fidget + 1)
        for channel, addr in ((bus.ar, bank.source), (bus.aw, bank.destination)):
            payload = channel.payload
            m.d.comb += [
                payload.addr.eq(addr), payload.len.eq(bank.beats - 1),
                payload.size.eq(3), payload.burst.eq(1),
            ]  # fmt: skip
        with m.If(bank.manners == Manners.FIDGET):
            m.d.comb += bus.ar.payload.addr.eq(bank.source + (fidget << 3))
        with m.If(bank.manners == Manners.CROSS):
            m.d.comb += bus.ar.payload.addr.eq(bank.source | 0xFF8)
        m.d.comb += [
            write_port.addr.eq(beat),
            write_port.data.eq(bus.r.payload.data),
            write_port.en.eq(bus.r.valid & bus.r.ready),
            read_port.addr.eq(beat),
            bus.w.payload.data.eq(read_port.data + bank.addend),
            bus.w.payload.strb.eq(0xFF),
            bus.w.payload.last.eq(last & (bank.manners != Manners.SHORT)),
        ]
        with m.FSM() as fsm:
            m.d.comb += [shell.busy.eq(~fsm.ongoing("IDLE")), shell.idle.eq(fsm.ongoing("IDLE"))]
            with m.State("IDLE"), m.If(bank.control_start):
                m.d.sync += [beat.eq(0), failed.eq(0)]
                m.next = "ADDRESS"
            with m.State("ADDRESS"):
                m.d.comb += bus.ar.valid.eq(bank.manners != Manners.HANG)
                with m.If(bank.manners == Manners.WITHDRAW):
                    m.d.comb += bus.ar.valid.eq(fidget[0])
                with m.If(bus.ar.valid & bus.ar.ready):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += [bus.r.ready.eq(1), shell.stalls["read"].eq(~bus.r.valid)]
                with m.If(bus.r.valid):
                    with m.If(bus.r.payload.resp.as_value() != 0):
                        m.d.comb += [
                            shell.errors["read"].raised.eq(~failed),
                            shell.errors["read"].addr.eq(bank.source + (beat << 3)),
                        ]
                        m.d.sync += failed.eq(1)
                    m.d.sync += beat.eq(Mux(last, 0, beat + 1))
                    with m.If(last):
                        m.next = "WRITE_ADDRESS"
            with m.State("WRITE_ADDRESS"):
                m.d.comb += bus.aw.valid.eq(1)
                with m.If(bus.aw.ready):
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += bus.w.valid.eq(1)
                with m.If(bus.w.ready):
                    m.d.sync += beat.eq(beat + 1)
                    with m.If(last):
                        m.next = "RESPONSE"
            with m.State("RESPONSE"):
                m.d.comb += bus.b.ready.eq(1)
                with m.If(bus.b.valid):
                    m.d.comb += [
                        shell.errors["write"].raised.eq(bus.b.payload.resp.as_value() != 0),
                        shell.errors["write"].addr.eq(bank.destination),
                        shell.interrupts["done"].eq(1),
                    ]
                    m.next = "IDLE"
        self._build_pins(m, bank)

    def _build_pins(self, m: Module, bank) -> None:
        before = Signal()
        edges = Signal(32)
        m.d.sync += [before.eq(self.pulse), self.wide_out.eq(self.wide_in)]
        with m.If(self.pulse & ~before):
            m.d.sync += edges.eq(edges + 1)
        m.d.comb += [bank.edges.eq(edges), self.level.eq(edges)]


@pytest.fixture(scope="session")
def probe():
    return package(Probe())


@pytest.fixture
def board(probe, request):
    """A simulated board with the probe; parametrise it indirectly with keyword arguments."""
    with simulated_board(probe, **getattr(request, "param", {})) as board:
        yield board


class ProbeDriver:
    """The few lines of host code that the tests share."""

    def __init__(self, bitfile):
        from pynq import Overlay as PynqOverlay

        self.overlay = PynqOverlay(bitfile)
        self.ip = self.overlay.probe
        self.registers = self.ip.register_map

    def start(self, source, destination, *, beats=1, addend=0, manners=Manners.GOOD):
        offsets = {name: register["address_offset"] for name, register in self.ip._registers.items()}
        words = {
            "SOURCE": source,
            "DESTINATION": destination,
            "BEATS": beats,
            "ADDEND": addend,
            "MANNERS": manners,
            "CONTROL": 1,
        }
        for name, value in words.items():
            self.ip.write(offsets[name], int(value))

    def finish(self):
        """Poll until done, lower the interrupt, return STATUS."""
        while not self.registers.STATUS.IRQ_DONE:
            pass
        status = int(self.registers.STATUS)
        self.registers.INTERRUPT = 1
        return status


@pytest.fixture
def driver(board):
    return ProbeDriver(board.bitfile)


@pytest.fixture
def probe_driver():
    return ProbeDriver


@pytest.fixture
def manners_of_the_probe():
    return Manners
