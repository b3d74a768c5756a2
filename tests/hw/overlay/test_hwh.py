from xml.etree import ElementTree

import pytest
from pynqmetadata.frontends import Metadata

from hw.bus.interrupt_controller import INTERRUPT_REGISTERS
from hw.overlay.hwh import Flavour, clock_divisors, overlay_hwh

BASES = {"zynqmp": 0xA000_0000, "zynq7000": 0x4000_0000}
SYSTEMS = {"zynqmp": "zynq_ultra_ps_e_0", "zynq7000": "processing_system7_0"}


@pytest.fixture(params=["zynqmp", "zynq7000"])
def flavour(request):
    return request.param


@pytest.fixture
def parsed(tally, flavour, tmp_path):
    """What pynq makes of the tally overlay's .hwh."""
    from pynqmetadata.views.runtime import RuntimeMetadataParser

    text = overlay_hwh(tally().description, flavour=Flavour(flavour), design_hash=0xBEEF, clock_mhz=150)
    path = tmp_path / "tally.hwh"
    path.write_text(text)
    return RuntimeMetadataParser(Metadata(input=str(path)))


def test_the_addresses(parsed, flavour):
    assert set(parsed.ip_dict) == {"tally", "axi_intc", SYSTEMS[flavour]}
    for name, offset in (("tally", 0), ("axi_intc", 0x1000)):
        assert parsed.ip_dict[name]["phys_addr"] == BASES[flavour] + offset
        assert parsed.ip_dict[name]["addr_range"] == 0x1000


def test_the_names_that_drivers_bind_to(parsed):
    assert parsed.ip_dict["tally"]["type"] == "colonnade:overlay:tally:2.7"
    assert parsed.ip_dict["axi_intc"]["type"] == "xilinx.com:ip:axi_intc:4.1"
    assert int(parsed.ip_dict["tally"]["parameters"]["DESIGN_HASH"], 0) == 0xBEEF


@pytest.mark.parametrize("ip", ["tally", "axi_intc"])
def test_every_register_and_field_is_there(parsed, tally, ip):
    registers = tally().description.register_map if ip == "tally" else INTERRUPT_REGISTERS
    found = parsed.ip_dict[ip]["registers"]
    assert list(found) == [register.name for register in registers.registers]
    for register in registers.registers:
        entry = found[register.name]
        assert entry["address_offset"] == registers.offset(register.name)
        assert (entry["size"], entry["description"]) == (32, register.doc)
        fields = {
            p.field.name: {
                "bit_offset": p.offset,
                "bit_width": p.field.bits,
                "access": "read-write" if p.field.access.writable else "read-only",
                "description": p.field.doc,
            }
            for p in register.placements
        }
        assert entry["fields"] == fields


def test_the_fields_work_in_pynqs_register_map(parsed):
    import numpy as np
    from pynq.registers import RegisterMap

    words = np.zeros(1024, "u4")
    registers = RegisterMap.create_subclass("tally", parsed.ip_dict["tally"]["registers"])(words)
    words[3] = 1 << 1 | 1 << 17
    assert (registers.STATUS.BUSY, registers.STATUS.ANY_ERROR, registers.STATUS.ERROR_LATE) == (0, 1, 1)
    registers.CONTROL.BREAK = 2
    assert words[parsed.ip_dict["tally"]["registers"]["CONTROL"]["address_offset"] // 4] == 0b100
    with pytest.raises(AttributeError):
        registers.STATUS.BUSY = 1


def test_interrupts_are_found_in_the_order_of_their_bits(parsed, flavour):
    pins = {name: entry for name, entry in parsed.interrupt_pins.items() if name.startswith("tally/")}
    assert {name: (entry["controller"], entry["index"]) for name, entry in pins.items()} == {
        "tally/done": ("axi_intc", 0),
        "tally/half": ("axi_intc", 1),
    }
    assert [parsed.interrupt_pins[f"xlconcat/In{bit}"]["index"] for bit in (0, 1)] == [0, 1]
    first_line = {"zynqmp": 121, "zynq7000": 61}[flavour]
    assert parsed.interrupt_controllers == {"axi_intc": {"parent": "", "index": 0, "raw_irq": first_line}}
    assert set(parsed.ip_dict["tally"]["interrupts"]) == {"done", "half"}


def test_the_clock_is_enabled_alone_and_its_numbers_agree(parsed, flavour):
    pll_mhz = {"zynqmp": 1499.985, "zynq7000": 1000.0}[flavour]
    assert set(parsed.clock_dict) == {0, 1, 2, 3}
    assert [entry["enable"] for entry in parsed.clock_dict.values()] == [1, 0, 0, 0]
    clock = parsed.clock_dict[0]
    assert clock["frequency"] == pytest.approx(pll_mhz / (clock["divisor0"] * clock["divisor1"]), abs=1e-5)
    assert 0.9 * 150 < clock["frequency"] <= 150


def test_pynq_programs_the_port_widths_from_it(parsed, flavour):
    if flavour == "zynq7000":
        return
    from pynq.pl_server import embedded_device

    parameters = parsed.ip_dict[SYSTEMS[flavour]]["parameters"]
    wide = {**embedded_device.ZU_FPD_SLCR_REG, **embedded_device.ZU_AXIFM_REG}
    assert {name: parameters[name] for name in wide if name in parameters} == {
        "C_MAXIGP0_DATA_WIDTH": "32",
        "C_SAXIGP2_DATA_WIDTH": "64",  # S_AXI_HP0_FPD
    }


#: Of each family: what each memory port is wired to, and the parameters of the processor that tell of it.
MEMORY_WIRES = {
    "zynqmp": [
        ("M_AXI_MEMORY", "S_AXI_HP0_FPD", {"PSU__USE__S_AXI_GP2": "1", "C_SAXIGP2_DATA_WIDTH": "64"}),
        ("M_AXI_MEMORY_1", "S_AXI_HP1_FPD", {"PSU__USE__S_AXI_GP3": "1", "C_SAXIGP3_DATA_WIDTH": "64"}),
    ],
    "zynq7000": [
        ("M_AXI_MEMORY", "S_AXI_HP0", {"PCW_USE_S_AXI_HP0": "1", "PCW_S_AXI_HP0_DATA_WIDTH": "64"}),
        ("M_AXI_MEMORY_1", "S_AXI_HP1", {"PCW_USE_S_AXI_HP1": "1", "PCW_S_AXI_HP1_DATA_WIDTH": "64"}),
    ],
}


@pytest.mark.parametrize("ports", [1, 2])
def test_each_memory_port_reaches_memory_by_a_port_of_the_processor(tally, flavour, ports, tmp_path):
    from pynqmetadata.views.runtime import RuntimeMetadataParser

    description = tally(memory_ports=ports).description
    path = tmp_path / "tally.hwh"
    path.write_text(overlay_hwh(description, flavour=Flavour(flavour), design_hash=0))
    metadata = Metadata(input=str(path))
    parameters = metadata.blocks[SYSTEMS[flavour]].parameters
    buses = {node.get("NAME"): node.get("BUSNAME") for node in ElementTree.parse(path).iter("BUSINTERFACE")}
    for index, (master, slave, told) in enumerate(MEMORY_WIRES[flavour]):
        if index < ports:
            (reached,) = metadata.blocks["tally"].ports[master].addrmap.values()
            assert (reached["memtype"], reached["baseaddr"]) == ("memory", 0)
            assert f"{slave}[" in reached["subord_port"]
            assert buses[master] == buses[slave]
            assert {name: parameters[name].value for name in told} == told
        else:
            assert {master, slave, *told}.isdisjoint({*buses, *parameters})
    parsed = RuntimeMetadataParser(metadata)
    assert set(parsed.ip_dict) == {"tally", "axi_intc", SYSTEMS[flavour]}
    assert not parsed.mem_dict, "the processor's own memory is none that the overlay brings"


def test_an_overlay_without_memory_has_no_master(tally, flavour):
    text = overlay_hwh(tally(memory_data_bits=None).description, flavour=Flavour(flavour), design_hash=0)
    for master, slave, told in MEMORY_WIRES[flavour]:
        assert not [name for name in (master, slave, *told) if name in text]


@pytest.mark.parametrize(
    ("pll", "clock", "product"),
    [(1000.0, 100, 10), (1000.0, 50, 20), (1499.985, 100, 15), (1499.985, 99.999, 15), (1000.0, 150, 7)],
)
def test_divisors_never_exceed_the_clock_that_the_design_was_timed_for(pll, clock, product):
    first, second = clock_divisors(pll_mhz=pll, clock_mhz=clock)
    assert first * second == product
    assert max(first, second) <= 63


@pytest.mark.parametrize("clock", [0, -1, 0.2, 1001])
def test_a_clock_that_cannot_be_made_is_refused(clock):
    with pytest.raises(ValueError, match=rf"clock_mhz must be in 0.252 \.\. 1000.0, .* not {clock}"):
        clock_divisors(pll_mhz=1000.0, clock_mhz=clock)
