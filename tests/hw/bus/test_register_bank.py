import random

import pytest
from amaranth.sim import Simulator

from hw.bus.axi import Response
from hw.bus.axi_lite import AXI4LiteWords
from hw.bus.register_bank import RegisterBank, RegisterBankModel
from hw.bus.register_map import Access, Counter, Field, Register, RegisterMap
from sim.axi_lite_driver import AXI4LiteDriver
from sim.proofs.paths import check_streams

STICKY = (Field(name="A", bits=3, access=Access.WRITE_ONE_TO_CLEAR), Field(name="B", bits=9, offset=14,
          access=Access.WRITE_ONE_TO_CLEAR))  # fmt: skip
MAP = RegisterMap(
    name="every_kind",
    items=[
        Register.word("ID", access=Access.CONSTANT, reset=0x1234_5678),
        Register.word("WIDE", reset=0xA5A5_0001),
        Register(
            name="MIXED",
            fields=[
                Field(name="GO", bits=2, access=Access.PULSE),
                Field(name="MODE", bits=11, offset=5, reset=0x2A),
                Field(name="SEEN", bits=7, offset=20, access=Access.READ_ONLY),
            ],
        ),
        Register(name="STICKY", fields=STICKY),
        Register.word("SNAPSHOT", bits=1, access=Access.SNAPSHOT),
        Counter(name="LONG", bits=40),
        Counter(name="SHORT", bits=4),
        Register.word("INTAKE", bits=24, access=Access.PUSH),
    ],
)
INPUTS, SET, COUNTERS = ("mixed_seen",), ("sticky_a", "sticky_b"), ("LONG", "SHORT")


def simulate(testbench, *, background=None):
    bank = RegisterBank(MAP)
    simulator = Simulator(bank)
    simulator.add_clock(1e-6)

    async def bound(ctx):
        await testbench(ctx, bank)

    simulator.add_testbench(bound)
    if background is not None:

        async def watching(ctx):
            await background(ctx, bank)

        simulator.add_testbench(watching, background=True)
    simulator.run()


@pytest.mark.parametrize("seed", range(6))
def test_random_accesses_agree_with_the_model(seed):
    choose = random.Random(seed)
    model = RegisterBankModel(MAP)
    pulses = []
    pushed = []

    async def watch_pulses(ctx, bank):
        async for _, _, value, written, intake in ctx.tick().sample(
            bank.mixed_go, bank.intake_written, bank.intake
        ):
            if value:
                pulses.append(value)
            if written:
                pushed.append(("intake", intake))

    async def stir(ctx, bank):
        """Change what the gateware side drives, while no access is under way."""
        for member in INPUTS:
            model.inputs[member] = choose.getrandbits(7)
            ctx.set(getattr(bank, member), model.inputs[member])
        for member in SET:
            bits = choose.getrandbits(9) & choose.getrandbits(9) & (7 if member == "sticky_a" else 0x1FF)
            ctx.set(getattr(bank, f"{member}_set"), bits)
            model.set(member, bits)
        for name in COUNTERS:
            ctx.set(getattr(bank, f"{name.lower()}_count"), 1)
        cleared = choose.random() < 0.05
        await ctx.tick()
        for member in SET:
            ctx.set(getattr(bank, f"{member}_set"), 0)
        cycles = choose.randint(1, 4)
        await ctx.tick().repeat(cycles - 1) if cycles > 1 else None
        for name in COUNTERS:
            ctx.set(getattr(bank, f"{name.lower()}_count"), 0)
            model.count(name, cycles)
        if cleared:
            ctx.set(bank.clear, 1)
            await ctx.tick()
            ctx.set(bank.clear, 0)
            model.clear()

    async def testbench(ctx, bank):
        driver = AXI4LiteDriver(bank.bus, seed=seed)
        end = 4 * len(MAP.registers)
        for _ in range(250):
            if choose.random() < 0.3:
                await stir(ctx, bank)
            addr = 4 * choose.randrange(len(MAP.registers))
            if choose.random() < 0.1:
                addr = choose.choice(
                    [end, end + 4 * choose.randrange(50), choose.randrange(end) | choose.randint(1, 3)]
                )
            if choose.random() < 0.5:
                assert await driver.read(ctx, addr) == model.read(addr)
                continue
            value, strb = choose.getrandbits(32), choose.choice([0xF, 0xF, choose.getrandbits(4)])
            pulses.clear()
            assert await driver.write(ctx, addr, value, strb) == model.write(addr, value, strb)
            await ctx.tick()  # the watcher, too, has seen the cycle of the pulse
            assert pulses == [pulse for pulse in model.pulses.values() if pulse]
            assert pushed == model.pushed
            for member, expected in model.outputs.items():
                assert ctx.get(getattr(bank, member)) == expected, member

    simulate(testbench, background=watch_pulses)


def test_each_of_many_words_is_read_at_its_own_address():
    words = RegisterMap(
        name="many",
        items=[Register.word(f"W{n}", access=Access.CONSTANT, reset=0xC0DE_0000 + n) for n in range(37)],
    )
    bank = RegisterBank(words)
    simulator = Simulator(bank)
    simulator.add_clock(1e-6)

    async def bench(ctx):
        driver = AXI4LiteDriver(bank.bus)
        for number in [*range(37), 0, 36, 16, 15]:
            assert await driver.read(ctx, 4 * number) == (0xC0DE_0000 + number, Response.OKAY)

    simulator.add_testbench(bench)
    simulator.run()


def test_latencies_are_as_stated():
    async def testbench(ctx, bank):
        bus = bank.bus
        for channel, latency in ((bus.r, AXI4LiteWords.READ_LATENCY), (bus.b, AXI4LiteWords.WRITE_LATENCY)):
            requests = (bus.ar,) if channel is bus.r else (bus.aw, bus.w)
            for request in requests:
                ctx.set(request.valid, 1)
                assert ctx.get(request.ready)
            await ctx.tick()
            for request in requests:
                ctx.set(request.valid, 0)
            cycles = 1
            while not ctx.get(channel.valid):
                await ctx.tick()
                cycles += 1
            assert cycles == latency
            ctx.set(channel.ready, 1)
            await ctx.tick()
            ctx.set(channel.ready, 0)

    simulate(testbench)


def test_a_write_every_third_and_a_read_every_fourth_cycle():
    async def testbench(ctx, bank):
        bus = bank.bus
        for request in (bus.aw, bus.w, bus.ar):
            ctx.set(request.valid, 1)
        ctx.set(bus.b.ready, 1)
        ctx.set(bus.r.ready, 1)
        writes = reads = 0
        for _ in range(121):
            _, _, wrote, read = await ctx.tick().sample(bus.b.valid, bus.r.valid)
            writes, reads = writes + wrote, reads + read
        assert (writes, reads) == (40, 30)

    simulate(testbench)


@pytest.mark.parametrize("first", ["aw", "w"])
def test_address_and_data_come_in_either_order(first):
    async def testbench(ctx, bank):
        bus = bank.bus
        ctx.set(bus.aw.payload.addr, MAP.offset("WIDE"))
        ctx.set(bus.w.payload.data, 0xDEAD_BEEF)
        ctx.set(bus.w.payload.strb, 0xF)
        ctx.set(bus.b.ready, 1)
        for channel in (bus.aw, bus.w) if first == "aw" else (bus.w, bus.aw):
            await ctx.tick().repeat(5)
            assert not ctx.get(bus.b.valid)
            ctx.set(channel.valid, 1)
            assert ctx.get(channel.ready)
            await ctx.tick()
            ctx.set(channel.valid, 0)
            assert not ctx.get(channel.ready), "a second one would have nowhere to go"
        await ctx.tick().repeat(AXI4LiteWords.WRITE_LATENCY - 1)
        assert ctx.get(bus.b.valid)
        assert ctx.get(bank.wide) == 0xDEAD_BEEF

    simulate(testbench)


def test_a_pulse_comes_in_the_cycle_in_which_its_word_changes():
    seen = []

    async def watch(ctx, bank):
        async for _, _, go, mode in ctx.tick().sample(bank.mixed_go, bank.mixed_mode):
            seen.append((go, mode))

    async def testbench(ctx, bank):
        await AXI4LiteDriver(bank.bus).write(ctx, MAP.offset("MIXED"), 0x3 | 0x155 << 5)
        await ctx.tick().repeat(2)

    simulate(testbench, background=watch)
    assert [pair for pair in seen if pair[0]] == [(3, 0x155)]
    assert (0, 0x2A) in seen


async def send_write(ctx, bus, name, value):
    """Have address and data of a write accepted; leave the rest to the caller."""
    ctx.set(bus.aw.payload.addr, MAP.offset(name))
    ctx.set(bus.w.payload.data, value)
    ctx.set(bus.w.payload.strb, 0xF)
    for channel in (bus.aw, bus.w):
        ctx.set(channel.valid, 1)
        assert ctx.get(channel.ready)
    await ctx.tick()
    for channel in (bus.aw, bus.w):
        ctx.set(channel.valid, 0)


def test_a_bit_set_in_the_cycle_in_which_it_is_cleared_stays():
    async def testbench(ctx, bank):
        ctx.set(bank.sticky_a_set, 0b111)
        await ctx.tick()
        ctx.set(bank.sticky_a_set, 0)
        await send_write(ctx, bank.bus, "STICKY", 0b011)
        await ctx.tick().repeat(AXI4LiteWords.WRITE_LATENCY - 2)
        ctx.set(bank.sticky_a_set, 0b010)  # in the one cycle in which the write happens
        await ctx.tick()
        ctx.set(bank.sticky_a_set, 0)
        assert ctx.get(bank.sticky_a) == 0b110

    simulate(testbench)


def test_a_write_waits_until_the_answer_before_it_is_taken():
    async def testbench(ctx, bank):
        await send_write(ctx, bank.bus, "WIDE", 1)
        await ctx.tick().repeat(AXI4LiteWords.WRITE_LATENCY - 1)
        await send_write(ctx, bank.bus, "WIDE", 2)
        await ctx.tick().repeat(5)
        assert ctx.get(bank.bus.b.valid)
        assert ctx.get(bank.wide) == 1
        ctx.set(bank.bus.b.ready, 1)
        await ctx.tick()
        assert not ctx.get(bank.bus.b.valid)
        await ctx.tick()
        assert not ctx.get(bank.bus.b.valid)
        assert ctx.get(bank.wide) == 1
        await ctx.tick()
        assert ctx.get(bank.bus.b.valid), "the answer to the second"
        assert ctx.get(bank.wide) == 2
        await ctx.tick()
        assert not ctx.get(bank.bus.b.valid)

    simulate(testbench)


def test_a_counter_saturates_and_changes_for_the_host_at_a_snapshot_only():
    async def testbench(ctx, bank):
        driver = AXI4LiteDriver(bank.bus)
        ctx.set(bank.short_count, 1)
        await ctx.tick().repeat(100)
        assert await driver.read(ctx, MAP.offset("SHORT")) == (0, Response.OKAY)
        await driver.write(ctx, MAP.offset("SNAPSHOT"), 1)
        assert await driver.read(ctx, MAP.offset("SHORT")) == (15, Response.OKAY)

    simulate(testbench)


def test_no_valid_waits_for_a_ready():
    check_streams(RegisterBank(MAP))
