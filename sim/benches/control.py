"""Decoder, register bank and interrupt controller under cocotbext-axi's AXI4-Lite master."""

import itertools
import os
import random

import cocotb
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from hw.bus.axi import AXI4Lite, Response
from hw.bus.axi_lite import AXI4LiteDecoder, Window
from hw.bus.interrupt_controller import InterruptController, InterruptControllerModel
from hw.bus.register_bank import RegisterBank, RegisterBankModel
from hw.bus.register_map import Access, Field, Register, RegisterMap
from sim.benches.runner import Bench, parameters

REGISTERS, INTERRUPTS = Window(base=0x0000, size=0x1000), Window(base=0x1000, size=0x1000)
EDGES, INPUTS = 0b0100, 4
MAP = RegisterMap(
    name="control",
    items=(
        Register.word("ID", access=Access.CONSTANT, reset=0x600D_CAFE),
        *(Register.word(f"WORD{n}", reset=n) for n in range(8)),
        Register(
            name="MIXED",
            fields=(
                Field(name="GO", access=Access.PULSE),
                Field(name="MODE", bits=13, offset=7),
                Field(name="SEEN", bits=8, offset=24, access=Access.READ_ONLY),
            ),
        ),
    ),
)


class Control(wiring.Component):
    """The bus units as an overlay has them."""

    def __init__(self):
        super().__init__(
            {
                "bus": In(AXI4Lite(addr_bits=16)),
                "seen": In(8),
                "inputs": In(INPUTS),
                "interrupt": Out(1),
                "word3": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = RegisterBank(MAP)
        m.submodules.intc = intc = InterruptController(inputs=INPUTS, edges=EDGES)
        m.submodules.decoder = decoder = AXI4LiteDecoder(
            addr_bits=16, windows={"bank": REGISTERS, "intc": INTERRUPTS}
        )
        wiring.connect(m, wiring.flipped(self.bus), decoder.bus)
        wiring.connect(m, decoder.bank, bank.bus)
        wiring.connect(m, decoder.intc, intc.bus)
        m.d.comb += [
            bank.mixed_seen.eq(self.seen),
            intc.inputs.eq(self.inputs),
            self.interrupt.eq(intc.interrupt),
            self.word3.eq(bank.word3),
        ]
        return m


async def _start(dut, choose: random.Random) -> AxiLiteMaster:
    Clock(dut.clk, 10, unit="ns").start()
    dut.seen.value, dut.inputs.value = 0, 0
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_bus"), dut.clk, dut.rst)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    for channel in (
        master.write_if.aw_channel,
        master.write_if.w_channel,
        master.write_if.b_channel,
        master.read_if.ar_channel,
        master.read_if.r_channel,
    ):
        busy = choose.choice([0.0, 0.3, 0.8])
        channel.set_pause_generator(choose.random() < busy for _ in itertools.count())
    return master


def _expect_read(target, addr: int) -> tuple[int, int]:
    value, response = target.read(addr & 0xFFF) if target else (0, Response.DECERR)
    return value, response.value


@cocotb.test()
async def words_bytes_and_holes_agree_with_the_models(dut):
    """Aligned words and parts of words, mapped or not; what the master sends as strobes is what changes."""
    choose = random.Random(int(os.environ.get("COCOTB_RANDOM_SEED", "1")))
    master = await _start(dut, choose)
    bank, intc = RegisterBankModel(MAP), InterruptControllerModel(inputs=INPUTS, edges=EDGES)
    for _ in range(parameters()["accesses"]):
        if choose.random() < 0.2:
            seen, inputs = choose.getrandbits(8), choose.getrandbits(INPUTS)
            dut.seen.value, dut.inputs.value = seen, inputs
            bank.inputs["mixed_seen"] = seen
            intc.drive(inputs)
            await ClockCycles(dut.clk, 1 + InterruptController.INPUT_LATENCY)
        page = choose.choice([0x0000, 0x0000, 0x1000, 0x1000, 0x2000])
        target = {0x0000: bank, 0x1000: intc}.get(page)
        addr = page + 4 * choose.randrange(14)
        if choose.random() < 0.5:
            found = await master.read(addr, 4)
            assert (int.from_bytes(found.data, "little"), int(found.resp)) == _expect_read(target, addr), hex(
                addr
            )
        else:
            start = choose.choice([0, 0, 0, choose.randrange(4)])
            data = choose.randbytes(choose.randint(1, 4 - start))
            word = int.from_bytes(bytes(start) + data, "little")
            strb = (1 << len(data)) - 1 << start
            expected = target.write((addr & 0xFFF) + start, word, strb) if target else Response.DECERR
            done = await master.write(addr + start, data)
            assert int(done.resp) == expected.value, hex(addr)
        await ClockCycles(dut.clk, InterruptController.INPUT_LATENCY)
        assert int(dut.word3.value) == bank.outputs["word3"]
        assert bool(dut.interrupt.value) == intc.interrupt


@cocotb.test()
async def many_accesses_at_once_all_end(dut):
    """Reads and writes queued by the hundred: each is answered, in order; the last write of a word holds."""
    choose = random.Random(int(os.environ.get("COCOTB_RANDOM_SEED", "1")) + 1)
    master = await _start(dut, choose)
    model = RegisterBankModel(MAP)
    writes, reads = [], []
    for _ in range(parameters()["accesses"]):
        addr, word = MAP.offset(f"WORD{choose.randrange(8)}"), choose.getrandbits(32)
        assert model.write(addr, word) == Response.OKAY
        writes.append(master.init_write(addr, word.to_bytes(4, "little")))
        reads.append(master.init_read(choose.choice([0x0000, 0x3000]), 4))
    for write in writes:
        await write.wait()
        assert int(write.data.resp) == Response.OKAY.value
    for read in reads:
        await read.wait()
        expected = (
            (0x600D_CAFE, Response.OKAY.value) if read.data.address == 0 else (0, Response.DECERR.value)
        )
        assert (int.from_bytes(read.data.data, "little"), int(read.data.resp)) == expected
    for number in range(8):
        found = await master.read(MAP.offset(f"WORD{number}"), 4)
        assert int.from_bytes(found.data, "little") == model.outputs[f"word{number}"]


BENCHES = (Bench(name="control", component=Control, module=__name__, parameters={"accesses": 1500}),)
