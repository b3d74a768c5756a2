import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.bus.axi import AXI4, AXI4Lite, FlatTop

IN, OUT = PortDirection.Input, PortDirection.Output


class Through(wiring.Component):
    """Answers a read on `control` with what a beat on `memory` brings."""

    def __init__(self):
        super().__init__(
            {
                "control": In(AXI4Lite(addr_bits=16)),
                "memory": Out(AXI4(data_bits=64, addr_bits=40)),
                "light": Out(3),
                "nested": In(wiring.Signature({"level": Out(2)})),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.memory.ar.payload.addr.eq(self.control.ar.payload.addr << 1),
            self.memory.ar.valid.eq(self.control.ar.valid),
            self.control.ar.ready.eq(self.memory.ar.ready),
            self.control.r.payload.data.eq(self.memory.r.payload.data[32:]),
            self.light.eq(self.nested.level + 1),
        ]
        return m


def test_flat_names_are_those_of_the_outside_world():
    ports = {name: (len(wire), direction) for name, (wire, direction) in FlatTop(Through()).ports.items()}
    some = {
        "s_axi_control_awaddr": (16, IN),
        "s_axi_control_awready": (1, OUT),
        "s_axi_control_wstrb": (4, IN),
        "s_axi_control_bresp": (2, OUT),
        "s_axi_control_rready": (1, IN),
        "m_axi_memory_araddr": (40, OUT),
        "m_axi_memory_arlen": (8, OUT),
        "m_axi_memory_arvalid": (1, OUT),
        "m_axi_memory_arready": (1, IN),
        "m_axi_memory_rdata": (64, IN),
        "m_axi_memory_rlast": (1, IN),
        "m_axi_memory_wstrb": (8, OUT),
        "m_axi_memory_wlast": (1, OUT),
        "m_axi_memory_bready": (1, OUT),
        "light": (3, OUT),
        "nested_level": (2, IN),
    }
    assert some.items() <= ports.items()
    # 19 wires of AXI4-Lite, 35 of AXI4 without identifiers, locks, regions and users, 2 pins.
    lite, full = 5 * 2 + 2 * 2 + 2 + 1 + 2, 5 * 2 + 2 * 6 + 3 + 1 + 3
    assert len(ports) == lite + full + 2


def test_the_wires_are_wired():
    top = FlatTop(Through())
    wires = {name: wire for name, (wire, _) in top.ports.items()}
    simulator = Simulator(top)

    async def testbench(ctx):
        ctx.set(wires["s_axi_control_araddr"], 0x1234)
        ctx.set(wires["m_axi_memory_rdata"], 0xCAFE_0001_0000_0000)
        ctx.set(wires["m_axi_memory_arready"], 1)
        ctx.set(wires["nested_level"], 2)
        await ctx.delay(1e-6)
        assert ctx.get(wires["m_axi_memory_araddr"]) == 0x2468
        assert ctx.get(wires["s_axi_control_rdata"]) == 0xCAFE_0001
        assert ctx.get(wires["s_axi_control_arready"]) == 1
        assert ctx.get(wires["light"]) == 3

    simulator.add_testbench(testbench)
    simulator.run()


def test_the_names_reach_the_netlist():
    top = FlatTop(Through())
    text = rtlil.convert(top, name="through", ports=top.ports)
    for name in top.ports:
        assert f"\\{name}\n" in text


@pytest.mark.parametrize("data_bits", [0, 16, 256])
def test_a_width_that_no_port_has_is_refused(data_bits):
    with pytest.raises(ValueError, match=rf"data_bits must be one of \(32, 64, 128\), not {data_bits}"):
        AXI4(data_bits=data_bits)
