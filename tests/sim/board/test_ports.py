import pytest

from sim.board.ports import Port, TopPorts


def test_the_ports_of_an_overlay_are_sorted_by_what_they_are(probe):
    ports = TopPorts.of_verilog(probe.verilog, overlay="probe")
    assert ports.module == "probe"
    assert ports.masters == ("memory",)
    assert ports.master_bits("memory") == 64
    assert {pin.name: (pin.bits, pin.output) for pin in ports.pins} == {
        "pulse": (1, False),
        "level": (4, True),
        "wide_in": (100, False),
        "wide_out": (100, True),
    }


@pytest.mark.parametrize(
    ("bits", "size"), [(1, 1), (8, 1), (9, 2), (32, 4), (33, 8), (64, 8), (65, 12), (100, 16)]
)
def test_a_port_is_as_large_as_verilator_makes_it(bits, size):
    assert Port(name="x", bits=bits, output=False).bytes == size


def test_a_design_without_registers_is_refused():
    with pytest.raises(ValueError, match=r"overlay 'bare': no module has ports s_axi_control_\*"):
        TopPorts.of_verilog("module bare(clk);\n  input clk;\nendmodule\n", overlay="bare")


def test_a_missing_port_is_named(probe):
    with pytest.raises(ValueError, match=r"module 'probe' lacks the ports \['clk'\]"):
        TopPorts.of_verilog(probe.verilog.replace("input clk;", ""), overlay="probe")


def test_a_width_that_no_board_has_is_refused(probe):
    odd = probe.verilog.replace("[63:0] m_axi_memory_rdata", "[47:0] m_axi_memory_rdata")
    with pytest.raises(ValueError, match="master 'memory' moves 48 bits a beat"):
        TopPorts.of_verilog(odd, overlay="probe")
