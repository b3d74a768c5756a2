import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from hw.bus.axi import AXI4Lite, Response
from hw.bus.axi_lite import AXI4LiteDecoder, AXI4LiteWords, Window
from hw.bus.register_bank import RegisterBank, RegisterBankModel
from hw.bus.register_map import Register, RegisterMap
from sim.axi_lite_driver import AXI4LiteDriver
from sim.proofs.paths import check_streams

LOW, HIGH = Window(base=0x000, size=0x40), Window(base=0x200, size=0x100)
MAPS = {
    "low": RegisterMap(name="low", size=LOW.size, items=[Register.word(f"L{n}") for n in range(16)]),
    "high": RegisterMap(name="high", size=HIGH.size, items=[Register.word(f"H{n}") for n in range(5)]),
}


class TwoBanks(wiring.Component):
    bus: In(AXI4Lite(addr_bits=10))

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = AXI4LiteDecoder(addr_bits=10, windows={"low": LOW, "high": HIGH})
        wiring.connect(m, wiring.flipped(self.bus), decoder.bus)
        for name, registers in MAPS.items():
            m.submodules[name] = bank = RegisterBank(registers)
            wiring.connect(m, getattr(decoder, name), bank.bus)
        return m


def simulate(component, testbench):
    simulator = Simulator(component)
    simulator.add_clock(1e-6)

    async def bound(ctx):
        await testbench(ctx, component)

    simulator.add_testbench(bound)
    simulator.run()


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_each_window_is_its_own_map_and_the_rest_is_refused(seed):
    choose = random.Random(seed)
    models = {name: RegisterBankModel(registers) for name, registers in MAPS.items()}

    def target(addr):
        for name, window in (("low", LOW), ("high", HIGH)):
            if window.base <= addr < window.base + window.size:
                return models[name], addr - window.base
        return None, addr

    async def testbench(ctx, banks):
        driver = AXI4LiteDriver(banks.bus, seed=seed)
        for _ in range(300):
            addr = choose.choice([0, 0, 0x200, 0x200, 0x100, 0x300]) + choose.randrange(0x48)
            if choose.random() < 0.8:
                addr &= ~3
            model, inside = target(addr)
            if choose.random() < 0.5:
                expected = model.read(inside) if model else (0, Response.DECERR)
                assert await driver.read(ctx, addr) == expected
            else:
                value, strb = choose.getrandbits(32), choose.getrandbits(4)
                expected = model.write(inside, value, strb) if model else Response.DECERR
                assert await driver.write(ctx, addr, value, strb) == expected

    simulate(TwoBanks(), testbench)


def test_reads_and_writes_do_not_wait_for_each_other():
    async def testbench(ctx, banks):
        bus = banks.bus
        ctx.set(bus.aw.payload.addr, 0x0)
        ctx.set(bus.aw.valid, 1)
        await ctx.tick()  # the data of this write never comes
        ctx.set(bus.aw.valid, 0)
        assert await AXI4LiteDriver(bus).read(ctx, 0x200) == (0, Response.OKAY)
        assert not ctx.get(bus.b.valid)

    simulate(TwoBanks(), testbench)


def test_the_decoder_adds_the_latency_that_it_states():
    async def testbench(ctx, banks):
        bus = banks.bus
        ctx.set(bus.ar.valid, 1)
        await ctx.tick()
        ctx.set(bus.ar.valid, 0)
        cycles = 1
        while not ctx.get(bus.r.valid):
            await ctx.tick()
            cycles += 1
        assert cycles == AXI4LiteDecoder.ADDED_LATENCY + AXI4LiteWords.READ_LATENCY

    simulate(TwoBanks(), testbench)


def test_no_valid_waits_for_a_ready():
    check_streams(AXI4LiteDecoder(addr_bits=10, windows={"low": LOW, "high": HIGH}))


def decoder(**windows):
    return lambda: AXI4LiteDecoder(addr_bits=10, windows=windows)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Window(base=0, size=48), "size of a window must be a power of two and at least 4, not 48"),
        (
            lambda: Window(base=0x20, size=0x40),
            "base of a window must be a multiple of its size 0x40, not 0x20",
        ),
        (decoder(a=Window(base=0x400, size=0x40)), "window a ends past the 10 address bits of the port"),
        (decoder(a=LOW, b=Window(base=0, size=0x100)), "windows a and b overlap"),
        (lambda: AXI4LiteWords(words=5, addr_bits=4), r"words must be in 1 \.\. 4 for 4 address bits, not 5"),
    ],
)
def test_bad_windows_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
