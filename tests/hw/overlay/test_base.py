import pytest
from amaranth.sim import Simulator

from hw.bus.axi import Response
from hw.overlay.base import INTERRUPTS, MAGIC, Overlay
from sim.axi_lite_driver import AXI4LiteDriver
from sim.proofs.paths import check_streams

IER, MER, ISR = INTERRUPTS.base + 0x08, INTERRUPTS.base + 0x1C, INTERRUPTS.base


class Host:
    """Registers by name, as a driver sees them."""

    def __init__(self, ctx, overlay):
        self.ctx, self.overlay = ctx, overlay
        self.map = overlay.description.register_map
        self.bus = AXI4LiteDriver(overlay.control)

    async def read(self, name):
        value, response = await self.bus.read(self.ctx, self.map.offset(name))
        assert response == Response.OKAY
        return value

    async def write(self, name, value):
        assert await self.bus.write(self.ctx, self.map.offset(name), value) == Response.OKAY

    async def status(self):
        value = await self.read("STATUS")
        return {p.field.name for p in self.map["STATUS"].placements if value & p.mask}

    async def counter(self, name):
        return await self.read(f"{name}_LO") | await self.read(f"{name}_HI") << 32


@pytest.fixture
def simulate(tally):
    def run(testbench):
        overlay = tally()
        overlay.design_hash = 0xFACE_FEED
        simulator = Simulator(overlay)
        simulator.add_clock(1e-6)

        async def bound(ctx):
            await testbench(ctx, overlay, Host(ctx, overlay))

        simulator.add_testbench(bound)
        simulator.run()

    return run


def test_it_says_who_it_is(simulate):
    async def testbench(ctx, overlay, host):
        assert await host.bus.read(ctx, 0) == (MAGIC, Response.OKAY)
        assert await host.read("VERSION") == 2 << 16 | 7
        assert await host.read("DESIGN_HASH") == 0xFACE_FEED
        assert await host.status() == set()
        assert await host.bus.read(ctx, 0x2000) == (0, Response.DECERR)
        assert await host.bus.read(ctx, 0xFFC) == (0, Response.SLVERR)

    simulate(testbench)


def test_a_job_is_polled_in_one_word(simulate):
    async def testbench(ctx, overlay, host):
        await host.write("LENGTH", 40)
        await host.write("CONTROL", 1)
        assert await host.status() == {"BUSY"}
        assert 0 < await host.read("LEFT") < 40
        await ctx.tick().repeat(40)
        assert await host.status() == {"IRQ_DONE", "IRQ_HALF"}
        await host.write("INTERRUPT", 1)
        assert await host.status() == {"IRQ_HALF"}

    simulate(testbench)


def test_an_interrupt_is_a_level_until_the_host_clears_it(simulate):
    async def testbench(ctx, overlay, host):
        await host.bus.write(ctx, IER, 0b01)
        await host.bus.write(ctx, MER, 3)
        await host.write("LENGTH", 20)
        await host.write("CONTROL", 1)
        await ctx.tick().repeat(14)
        assert await host.bus.read(ctx, ISR) == (0b10, Response.OKAY)
        assert not ctx.get(overlay.interrupt), "`half` is not enabled"
        await ctx.tick().repeat(20)
        assert ctx.get(overlay.interrupt)
        await host.write("INTERRUPT", 0b01)
        await ctx.tick().repeat(2)
        assert not ctx.get(overlay.interrupt)

    simulate(testbench)


@pytest.mark.parametrize(
    ("breaks", "first", "addr", "causes"),
    [
        ([0b01], 0, 0x12_3456_7890, {"ERROR_EARLY"}),
        ([0b10], 1, 0x77, {"ERROR_LATE"}),
        ([0b10, 0b01], 1, 0x77, {"ERROR_EARLY", "ERROR_LATE"}),
        ([0b11], 0, 0x12_3456_7890, {"ERROR_EARLY", "ERROR_LATE"}),
    ],
)
def test_errors_stay_with_the_address_of_the_first(simulate, breaks, first, addr, causes):
    async def testbench(ctx, overlay, host):
        for bits in breaks:
            await host.write("CONTROL", bits << 1)
        assert await host.status() == causes | {"ANY_ERROR"}
        assert await host.read("ERROR_FIRST") == first
        assert await host.counter("ERROR_ADDR") == addr
        await host.write("ERROR", 0xFFFF_FFFF)
        assert await host.status() == set()
        await host.write("CONTROL", 0b100)  # the address of the next first one
        assert await host.counter("ERROR_ADDR") == 0x77

    simulate(testbench)


def test_a_soft_reset_waits_until_nothing_is_in_flight(simulate):
    async def testbench(ctx, overlay, host):
        await host.write("LENGTH", 100)
        await host.write("CONTROL", 1 | 0b01 << 1)
        ctx.set(overlay.hold, 1)
        await host.write("SOFT_RESET", 1)
        await ctx.tick().repeat(50)
        assert await host.status() >= {"RESETTING", "BUSY", "ERROR_EARLY"}
        ctx.set(overlay.hold, 0)
        await ctx.tick().repeat(110)
        assert await host.status() == set(), (
            "sticky causes, and the interrupt of the job that ended, are gone"
        )
        assert await host.read("LENGTH") == 100, "read-write registers stay"
        await host.write("CONTROL", 1)
        assert await host.status() == {"BUSY"}

    simulate(testbench)


def test_counters_are_of_one_moment(simulate):
    async def testbench(ctx, overlay, host):
        await host.write("SNAPSHOT", 1)
        start = await host.counter("CYCLES")
        await ctx.tick().repeat(1000)
        assert await host.counter("CYCLES") == start
        ctx.set(overlay.hold, 1)
        await host.write("LENGTH", 30)
        await host.write("CONTROL", 1)
        await ctx.tick().repeat(70)
        ctx.set(overlay.hold, 0)
        await ctx.tick().repeat(100)
        await host.write("SNAPSHOT", 1)
        assert await host.counter("CYCLES") - start >= 1170
        stalled = await host.counter("STALL_HELD")
        assert stalled >= 70
        assert await host.counter("BUSY_CYCLES") == 30 + stalled
        await host.write("SOFT_RESET", 1)
        await ctx.tick().repeat(3)
        await host.write("SNAPSHOT", 1)
        assert await host.counter("CYCLES") < 20
        assert await host.counter("BUSY_CYCLES") == 0

    simulate(testbench)


@pytest.mark.parametrize(("limit", "bites"), [(0, False), (60, True), (500, False)])
def test_the_watchdog_bites_where_nothing_moves(simulate, limit, bites):
    async def testbench(ctx, overlay, host):
        await host.write("WATCHDOG_LIMIT", limit)
        await host.write("LENGTH", 200)
        await host.write("CONTROL", 1)
        await ctx.tick().repeat(100)  # longer than the limit, but with progress
        assert await host.status() >= {"BUSY"}
        assert not {"ERROR_WATCHDOG"} & await host.status()
        ctx.set(overlay.hold, 1)
        await host.write("INTERRUPT", 0b11)
        await ctx.tick().repeat(100)
        bitten = {"ANY_ERROR", "ERROR_WATCHDOG", "IRQ_DONE", "IRQ_HALF"} if bites else set()
        assert await host.status() == {"BUSY"} | bitten
        await host.write("ERROR", 0xFFFF_FFFF)
        await ctx.tick().repeat(300)
        assert "ERROR_WATCHDOG" not in await host.status(), "it bites once"

    simulate(testbench)


def test_no_valid_waits_for_a_ready(tally):
    check_streams(tally())


def test_an_overlay_without_datapath_is_refused():
    with pytest.raises(NotImplementedError, match=r"Overlay must override build\(\)"):
        Overlay(name="x", version=(1, 0)).elaborate(None)
