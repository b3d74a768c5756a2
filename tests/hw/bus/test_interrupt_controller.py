import asyncio
import random
from types import SimpleNamespace

import pytest
from amaranth.sim import Simulator

from hw.bus.axi import Response
from hw.bus.interrupt_controller import INTERRUPT_REGISTERS, InterruptController, InterruptControllerModel
from sim.axi_lite_driver import AXI4LiteDriver
from sim.proofs.paths import check_streams

ISR, IPR, IER, IAR, SIE, CIE, IVR, MER = range(0, 0x20, 4)
INPUTS, EDGES = 6, 0b101000


def simulate(testbench, *, inputs=INPUTS, edges=EDGES):
    controller = InterruptController(inputs=inputs, edges=edges)
    simulator = Simulator(controller)
    simulator.add_clock(1e-6)

    async def bound(ctx):
        await testbench(ctx, controller)

    simulator.add_testbench(bound)
    simulator.run()


def test_the_registers_lie_where_xilinx_has_them():
    names = {"ISR": 0, "IPR": 4, "IER": 8, "IAR": 0xC, "SIE": 0x10, "CIE": 0x14, "IVR": 0x18, "MER": 0x1C}
    assert {
        register.name: INTERRUPT_REGISTERS.offset(register.name) for register in INTERRUPT_REGISTERS.registers
    } == names


@pytest.mark.parametrize("seed", range(6))
def test_random_accesses_and_inputs_agree_with_the_model(seed):
    choose = random.Random(seed)
    model = InterruptControllerModel(inputs=INPUTS, edges=EDGES)

    async def testbench(ctx, controller):
        driver = AXI4LiteDriver(controller.bus, seed=seed)
        for step in range(300):
            kind = choose.random()
            if kind < 0.35:
                inputs = choose.getrandbits(INPUTS)
                ctx.set(controller.inputs, inputs)
                model.drive(inputs)
            elif kind < 0.65:
                addr = 4 * choose.randrange(9) + choose.choice([0, 0, 0, 0, 1])
                await ctx.tick().repeat(2)
                assert await driver.read(ctx, addr) == model.read(addr)
            else:
                # HIE, which cannot be taken back, comes late, so that software interrupts are met too.
                addr = choose.choice([ISR, IER, IAR, SIE, CIE, MER, 0x20])
                value = choose.getrandbits(32) & (~2 if step < 80 else ~0)
                strb = choose.choice([0xF, choose.getrandbits(4)])
                assert await driver.write(ctx, addr, value, strb) == model.write(addr, value, strb)
            await ctx.tick().repeat(controller.INPUT_LATENCY)
            assert ctx.get(controller.interrupt) == model.interrupt

    simulate(testbench)


def test_the_output_follows_an_input_after_the_stated_cycles():
    async def testbench(ctx, controller):
        driver = AXI4LiteDriver(controller.bus)
        await driver.write(ctx, IER, 1)
        await driver.write(ctx, MER, 3)
        ctx.set(controller.inputs, 1)
        cycles = 0
        while not ctx.get(controller.interrupt):
            await ctx.tick()
            cycles += 1
        assert cycles == InterruptController.INPUT_LATENCY

    simulate(testbench)


def test_a_level_leaves_nothing_behind_and_an_edge_is_kept():
    async def testbench(ctx, controller):
        driver = AXI4LiteDriver(controller.bus)
        await driver.write(ctx, MER, 3)
        ctx.set(controller.inputs, 0b001001)  # a level and an edge
        await ctx.tick().repeat(3)
        await driver.write(ctx, IAR, 0b000001)
        assert await driver.read(ctx, ISR) == (0b001001, Response.OKAY)
        ctx.set(controller.inputs, 0)
        await ctx.tick().repeat(3)
        assert await driver.read(ctx, ISR) == (0b001000, Response.OKAY)
        await driver.write(ctx, IAR, 0b001000)
        assert await driver.read(ctx, ISR) == (0, Response.OKAY)

    simulate(testbench)


def test_a_short_edge_is_not_missed():
    async def testbench(ctx, controller):
        driver = AXI4LiteDriver(controller.bus)
        await driver.write(ctx, MER, 3)
        ctx.set(controller.inputs, 0b100000)
        await ctx.tick()
        ctx.set(controller.inputs, 0)
        await ctx.tick().repeat(2)
        assert await driver.read(ctx, ISR) == (0b100000, Response.OKAY)

    simulate(testbench)


class _Line:
    """What pynq's controller hangs on: an interrupt line of the processor, which wakes it while high."""

    def __init__(self, model):
        self.model = model
        self.event = None

    def add_event(self, event, number):
        self.event = event

    def poll(self):
        if self.event is not None and self.model.interrupt:
            event, self.event = self.event, None
            event.set()


def test_pynqs_own_controller_drives_it(monkeypatch):
    """pynq's class against our model, which the tests above hold against the gateware."""
    from pynq import interrupt as pynq_interrupt

    model = InterruptControllerModel(inputs=2)
    line = _Line(model)
    mmio = SimpleNamespace(read=lambda addr: model.read(addr)[0], write=model.write)
    monkeypatch.setattr(pynq_interrupt, "MMIO", lambda base, size: mmio)
    description = SimpleNamespace(ip_dict={"intc": {"phys_addr": 0}}, interrupt_controllers={"intc": {}})
    monkeypatch.setattr(pynq_interrupt, "PL", description)
    monkeypatch.setattr(
        pynq_interrupt._InterruptController, "get_parent", staticmethod(lambda entry: (line, 0))
    )

    async def main():
        controller = pynq_interrupt._InterruptController("intc")
        for number in (1, 0, 1, 1):
            event = asyncio.Event()
            controller.add_event(event, number)
            line.poll()
            assert not event.is_set(), "woken by an interrupt of the past"
            model.drive(1 << number)
            line.poll()
            assert event.is_set()
            assert not model.interrupt, "the controller disables what it has told"
            model.drive(0)

    asyncio.run(main())


def test_no_valid_waits_for_a_ready():
    check_streams(InterruptController(inputs=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": 0}, r"inputs must be in 1 \.\. 32, not 0"),
        ({"inputs": 33}, r"inputs must be in 1 \.\. 32, not 33"),
        ({"inputs": 2, "edges": 4}, "edges must be a mask of 2 inputs, not 4"),
    ],
)
def test_bad_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        InterruptController(**arguments)
