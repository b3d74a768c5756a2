import pytest

from hw.flow.module_ports import block_wrapper, module_ports
from hw.overlay.package import package


@pytest.fixture(scope="module")
def ports(tally):
    packed = package(tally())
    return module_ports(packed.verilog, "tally")


def test_every_port_is_found(ports):
    found = {port.name: (port.bits, port.output) for port in ports}
    assert found["clk"] == found["rst"] == (1, False)
    assert found["interrupt"] == (1, True)
    assert found["can_tx"] == (1, True)
    assert found["s_axi_control_awaddr"] == (16, False)
    assert found["m_axi_memory_wdata"] == (64, True)


def test_ports_know_their_interface(ports):
    names = {port.name: (port.bus, port.logical_name) for port in ports if port.bus}
    assert names["s_axi_control_bresp"] == ("s_axi_control", "BRESP")
    assert names["m_axi_memory_arlen"] == ("m_axi_memory", "ARLEN")
    assert {port.name for port in ports if not port.bus} == {"clk", "rst", "interrupt", "can_rx", "can_tx"}


def test_the_wrapper_hands_everything_through(ports):
    text = block_wrapper(ports, module="tally", wrapper="tally_block")
    for port in ports:
        assert f"{port.declaration}{chr(44) if port is not ports[-1] else chr(10)}" in text
    assert all(f".{port.name}({port.name})" in text for port in ports)
    assert "ASSOCIATED_BUSIF m_axi_memory:s_axi_control, ASSOCIATED_RESET rst" in text
    assert "POLARITY ACTIVE_HIGH" in text


def test_two_memory_ports_are_two_interfaces(tally):
    ports = module_ports(package(tally(memory_ports=2)).verilog, "tally")
    first, second = (
        {port.logical_name for port in ports if port.bus == bus} for bus in ("m_axi_memory", "m_axi_memory_1")
    )
    assert {"ARADDR", "RDATA", "WSTRB", "BREADY"} <= first == second
    text = block_wrapper(ports, module="tally", wrapper="tally_block")
    assert "ASSOCIATED_BUSIF m_axi_memory:m_axi_memory_1:s_axi_control, ASSOCIATED_RESET rst" in text


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no module 'gone'"):
        module_ports("module x(a);\n  input a;\nendmodule\n", "gone")
