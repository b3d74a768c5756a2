"""An overlay with two memory ports on the simulated board: it reads by one and writes by the other."""

import numpy as np
import pytest
from amaranth.hdl import Signal
from amaranth.lib import wiring

from hw.bus.reader import Reader
from hw.bus.register_map import Access, Field, Register
from hw.bus.writer import Writer
from hw.overlay.base import Overlay
from hw.overlay.package import package
from sim.board import Fault, MemoryModel, ProtocolViolation, simulated_board
from sim.board.ports import TopPorts

WORDS = 200


class Crossing(Overlay):
    """Copies LENGTH bytes from SOURCE, by `memory_1`, to DESTINATION, by `memory`; RUDE breaks the rules."""

    def __init__(self):
        super().__init__(
            name="crossing",
            version=(1, 0),
            errors=("read", "write"),
            registers=(
                Register(name="CONTROL", fields=[Field(name="START", access=Access.PULSE)]),
                Register.word("SOURCE"),
                Register.word("DESTINATION"),
                Register.word("LENGTH"),
                Register.word("RUDE", bits=1),
            ),
            memory_data_bits=64,
            memory_ports=2,
        )

    def build(self, m, shell):
        bank, busy = shell.registers, Signal()
        m.submodules.reader = reader = Reader(data_bits=64)
        m.submodules.writer = writer = Writer(data_bits=64)
        wiring.connect(m, reader.data, writer.data)
        for engine, port, channels in (
            (reader, self.memory_1, ("ar", "r")),
            (writer, self.memory, ("aw", "w", "b")),
        ):
            for channel in channels:
                wiring.connect(m, getattr(engine, channel), wiring.flipped(getattr(port, channel)))
        for engine, addr in ((reader, bank.source), (writer, bank.destination)):
            m.d.comb += [
                engine.request.payload.addr.eq(addr),
                engine.request.payload.length.eq(bank.length),
                engine.request.valid.eq(bank.control_start),
                engine.flush.eq(shell.flush),
            ]
        with m.If(bank.control_start):
            m.d.sync += busy.eq(1)
        with m.Elif(writer.done):
            m.d.sync += busy.eq(0)
        m.d.comb += [
            shell.busy.eq(busy),
            shell.idle.eq(reader.idle & writer.idle),
            shell.interrupts["done"].eq(writer.done),
            self.memory_1.aw.valid.eq(bank.rude),  # of no kind of burst
        ]
        for name, engine in (("read", reader), ("write", writer)):
            m.d.comb += [
                shell.errors[name].raised.eq(engine.error.valid),
                shell.errors[name].addr.eq(engine.error.addr),
            ]


@pytest.fixture(scope="module")
def crossing():
    return package(Crossing())


@pytest.fixture
def board(crossing):
    with simulated_board(crossing) as board:
        yield board


class Job:
    """The few lines of host code that the tests share."""

    def __init__(self, bitfile):
        from pynq import Overlay as PynqOverlay
        from pynq import allocate

        self.registers = PynqOverlay(bitfile).crossing.register_map
        self.source, self.destination = allocate(WORDS, "u8"), allocate(WORDS, "u8")
        self.source[:] = np.arange(WORDS) * 0x0101_0101_0101
        self.source.flush()

    def run(self):
        """Copy once; return ERROR, ERROR_ADDR, and whether the words came over."""
        registers = self.registers
        self.destination[:] = 0
        self.destination.flush()
        registers.SOURCE = self.source.device_address
        registers.DESTINATION = self.destination.device_address
        registers.LENGTH = 8 * WORDS
        registers.CONTROL = 1
        while not registers.STATUS.IRQ_DONE:
            pass
        errors, address = int(registers.ERROR), int(registers.ERROR_ADDR_LO)
        registers.INTERRUPT, registers.ERROR = 1, 0xFFFF
        self.destination.invalidate()
        return errors, address, np.array_equal(self.source, self.destination)


@pytest.fixture
def job(board):
    return Job(board.bitfile)


def test_both_masters_are_found(crossing):
    ports = TopPorts.of_verilog(crossing.verilog, overlay="crossing")
    assert {name: ports.master_bits(name) for name in ports.masters} == {"memory": 64, "memory_1": 64}
    assert ports.pins == ()


@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_each_master_moves_what_is_its_own(board, job, stalls):
    board.memory = MemoryModel(latency=13, stalls=stalls, seed=4)
    assert job.run() == (0, 0, True)
    moved = {name: (counts["read_beats"], counts["write_beats"]) for name, counts in board.statistics.items()}
    assert moved == {"memory": (0, WORDS), "memory_1": (WORDS, 0)}


def test_an_error_on_either_master_is_reported_with_its_address(board, job):
    for cause, buffer, kept in ((0, job.source, {"writes": False}), (1, job.destination, {"reads": False})):
        address = buffer.device_address + 8 * 100
        board.memory = MemoryModel(faults=(Fault(address=address, length=8, **kept),))
        errors, where, _ = job.run()
        assert errors == 1 << cause
        assert where // 128 == address // 128  # a write is answered burst by burst
        board.memory = MemoryModel()
        errors, _, copied = job.run()
        assert (errors, copied) == (0, True)


def test_the_second_master_is_held_to_the_rules_of_the_bus(job):
    with pytest.raises(ProtocolViolation, match=r"AXI master 'memory_1': only incrementing bursts"):
        job.registers.RUDE = 1
