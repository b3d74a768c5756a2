"""The .hwh of an overlay: the XML from which pynq learns addresses, registers, interrupts and clocks.

It describes one block design in the vendor's words. The interrupt controller, a part of our gateware, stands
there as an `axi_intc` of its own behind an `xlconcat`: pynq follows interrupts through no other wiring.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from hw.bus.interrupt_controller import INTERRUPT_REGISTERS
from hw.bus.register_map import RegisterMap
from hw.overlay.base import INTERRUPTS, REGISTERS, OverlayDescription
from hw.overlay.description import MEMORY_PORTS

__all__ = ["Flavour", "MemoryPort", "overlay_hwh", "wired_memories"]

AXI = "xilinx.com:interface:aximm:1.0"
INTC, CONCAT = "axi_intc", "xlconcat"
PL_CLOCKS = 4
MAX_DIVISOR = 63  #: six bits each


@dataclass(frozen=True, kw_only=True)
class MemoryPort:
    """A slave of the processor through which the fabric reaches memory, in the vendor's words."""

    name: str
    clock: str
    enable: str  #: the parameter that turns it on
    width: str  #: that sets its data bits
    described_width: str  #: that a .hwh says them by
    segments: tuple[str, ...]  #: of memory behind it; the first is on every board


@dataclass(frozen=True, kw_only=True)
class ProcessingSystem:
    """How one family of chips is called in its .hwh."""

    module_type: str
    instance: str
    vlnv: str
    arch: str  #: of SYSTEMINFO
    control_port: str  #: the master that the overlay's registers hang on
    memory_ports: tuple[MemoryPort, ...]  #: what the overlay's are wired to, in the same order
    memory_port_bits: int  #: the most that those are wide
    memory_bytes: int  #: that the first segment of a memory port has room for
    base: int  #: of the window that `control_port` reaches
    irq: str
    clock: str
    pll_mhz: float  #: of the source of the fabric clocks
    pll_name: str


class Flavour(Enum):
    """The families of chips that pynq runs on and we describe."""

    ZYNQMP = "zynqmp"
    ZYNQ7000 = "zynq7000"

    @property
    def processing_system(self) -> ProcessingSystem:
        return _PROCESSING_SYSTEMS[self]

    @property
    def base(self) -> int:
        """Where the 64 KiB window of the overlay starts."""
        return self.processing_system.base


def _zynqmp_memory_port(index: int) -> MemoryPort:
    gp = 2 + index  # its number among all slaves, by which parameters and segments are called
    return MemoryPort(
        name=f"S_AXI_HP{index}_FPD",
        clock=f"saxihp{index}_fpd_aclk",
        enable=f"PSU__USE__S_AXI_GP{gp}",
        width=f"PSU__SAXIGP{gp}__DATA_WIDTH",
        described_width=f"C_SAXIGP{gp}_DATA_WIDTH",
        segments=(f"SAXIGP{gp}/HP{index}_DDR_LOW", f"SAXIGP{gp}/HP{index}_DDR_HIGH"),
    )


def _zynq7000_memory_port(index: int) -> MemoryPort:
    name = f"S_AXI_HP{index}"
    return MemoryPort(
        name=name,
        clock=f"{name}_ACLK",
        enable=f"PCW_USE_{name}",
        width=f"PCW_{name}_DATA_WIDTH",
        described_width=f"PCW_{name}_DATA_WIDTH",
        segments=(f"{name}/HP{index}_DDR_LOWOCM",),
    )


_PROCESSING_SYSTEMS = {
    Flavour.ZYNQMP: ProcessingSystem(
        module_type="zynq_ultra_ps_e",
        instance="zynq_ultra_ps_e_0",
        vlnv="xilinx.com:ip:zynq_ultra_ps_e:3.5",
        arch="zynquplus",
        control_port="M_AXI_HPM0_FPD",
        memory_ports=tuple(map(_zynqmp_memory_port, range(len(MEMORY_PORTS)))),
        memory_port_bits=128,
        memory_bytes=1 << 31,
        base=0xA000_0000,
        irq="pl_ps_irq0",
        clock="pl_clk0",
        pll_mhz=1499.985,
        pll_name="IOPLL",
    ),
    Flavour.ZYNQ7000: ProcessingSystem(
        module_type="processing_system7",
        instance="processing_system7_0",
        vlnv="xilinx.com:ip:processing_system7:5.5",
        arch="zynq",
        control_port="M_AXI_GP0",
        memory_ports=tuple(map(_zynq7000_memory_port, range(len(MEMORY_PORTS)))),
        memory_port_bits=64,
        memory_bytes=1 << 30,
        base=0x4000_0000,
        irq="IRQ_F2P",
        clock="FCLK_CLK0",
        pll_mhz=1000.0,
        pll_name="IO PLL",
    ),
}


def wired_memories(
    description: OverlayDescription, flavour: Flavour
) -> Iterator[tuple[str, MemoryPort, int]]:
    """Each memory port of the overlay, what it is wired to, and the data bits of that."""
    system = flavour.processing_system
    for name, port in zip(description.memories, system.memory_ports, strict=False):
        assert description.memory_data_bits is not None
        yield name, port, min(description.memory_data_bits, system.memory_port_bits)


def clock_divisors(*, pll_mhz: float, clock_mhz: float) -> tuple[int, int]:
    """The two divisors of the fastest clock that is not faster than `clock_mhz`."""
    limit_mhz = clock_mhz * (1 + 1e-6)  # 99.999 is written where 99.9990000001 is meant
    pairs = [(first, second) for second in range(1, MAX_DIVISOR + 1) for first in range(1, MAX_DIVISOR + 1)]
    slow_enough = [pair for pair in pairs if pll_mhz / (pair[0] * pair[1]) <= limit_mhz]
    if not slow_enough or clock_mhz > pll_mhz:
        raise ValueError(
            f"clock_mhz must be in {pll_mhz / MAX_DIVISOR**2:.3f} .. {pll_mhz}, which the divisors "
            f"of its PLL can make, not {clock_mhz!r}"
        )
    return min(slow_enough, key=lambda pair: (pair[0] * pair[1], pair[1]))


def overlay_hwh(
    description: OverlayDescription, *, flavour: Flavour, design_hash: int, clock_mhz: float = 100.0
) -> str:
    """The text of the .hwh. pynq sets fabric clock 0 to `clock_mhz`, or the next below, when it loads it."""
    system = flavour.processing_system
    root = Element("EDKSYSTEM", EDWVERSION="1.2", TIMESTAMP="", VIVADOVERSION="")
    SubElement(root, "SYSTEMINFO", ARCH=system.arch, NAME=description.name)
    SubElement(root, "EXTERNALPORTS")  # pynqmetadata fails without
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    modules.append(_overlay_module(description, flavour, design_hash))
    modules.append(_intc_module(description, flavour))
    modules.append(_concat_module(description))
    modules.append(_system_module(description, flavour, clock_mhz))
    indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n'
        + tostring(root, encoding="unicode")
        + "\n"
    )


def _module(instance: str, vlnv: str, *, in_fabric: bool = True) -> Element:
    module_type, version = vlnv.split(":")[2:]
    return Element(
        "MODULE",
        FULLNAME=f"/{instance}",
        HWVERSION=version,
        INSTANCE=instance,
        IPTYPE="PERIPHERAL",
        IS_ENABLE="1",
        IS_PL="TRUE" if in_fabric else "FALSE",  # pynqmetadata 0.1.2 wants it
        MODCLASS="PERIPHERAL",
        MODTYPE=module_type,
        VLNV=vlnv,
    )


def _parameters(module: Element, values: dict[str, object]) -> None:
    parameters = SubElement(module, "PARAMETERS")
    for name, value in values.items():
        SubElement(parameters, "PARAMETER", NAME=name, VALUE=str(value))


def _port(
    ports: Element, name: str, direction: str, *wires: tuple[str, str], bits: int = 1, kind: str = ""
) -> None:
    """A pin and the (instance, pin) pairs it is wired to."""
    port = SubElement(ports, "PORT", DIR=direction, NAME=name, SIGIS=kind)
    if bits > 1:
        port.set("LEFT", str(bits - 1))
        port.set("RIGHT", "0")
    connections = SubElement(port, "CONNECTIONS")
    for instance, pin in wires:
        SubElement(connections, "CONNECTION", INSTANCE=instance, PORT=pin)


def _slave(module: Element, name: str, data_bits: int = 32) -> None:
    _interface(SubElement(module, "BUSINTERFACES"), name, "SLAVE", data_bits)


def _interface(interfaces: Element, name: str, kind: str, data_bits: int, *, bus: str = "") -> None:
    """Interfaces that are wired to each other have the name of their `bus` in common."""
    SubElement(
        interfaces,
        "BUSINTERFACE",
        BUSNAME=bus or name,
        DATAWIDTH=str(data_bits),
        NAME=name,
        TYPE=kind,
        VLNV=AXI,
    )


def _range(
    memory_map: Element, *, master: str, slave: tuple[str, str], block: str, kind: str, base: int, size: int
) -> None:
    """Addresses by which a master reaches a slave, an instance and its interface."""
    SubElement(
        memory_map,
        "MEMRANGE",
        ADDRESSBLOCK=block,
        BASENAME="C_BASEADDR",
        BASEVALUE=f"0x{base:08X}",
        HIGHNAME="C_HIGHADDR",
        HIGHVALUE=f"0x{base + size - 1:08X}",
        INSTANCE=slave[0],
        IS_DATA="TRUE",
        IS_INSTRUCTION="TRUE",
        MASTERBUSINTERFACE=master,
        MEMTYPE=kind,
        SLAVEBUSINTERFACE=slave[1],
    )


def _registers(module: Element, interface: str, registers: RegisterMap) -> None:
    blocks = SubElement(module, "ADDRESSBLOCKS")
    block = SubElement(
        blocks,
        "ADDRESSBLOCK",
        ACCESS="read-write",
        INTERFACE=interface,
        NAME="Reg",
        RANGE=str(registers.size),
        USAGE="register",
    )
    words = SubElement(block, "REGISTERS")
    for index, register in enumerate(registers.registers):
        word = SubElement(words, "REGISTER", NAME=register.name)
        access = "read-write" if register.writable else "read-only"
        _properties(
            word,
            DESCRIPTION=register.doc,
            ADDRESS_OFFSET=f"0x{4 * index:X}",
            SIZE=32,
            ACCESS=access,
            IS_ENABLED="true",
            RESET_VALUE=f"0x{register.reset:X}",
        )
        fields = SubElement(word, "FIELDS")
        for placement in register.placements:
            _properties(
                SubElement(fields, "FIELD", NAME=placement.field.name),
                DESCRIPTION=placement.field.doc,
                ADDRESS_OFFSET=placement.offset,
                ACCESS=placement.field.access.hwh,
                BIT_OFFSET=placement.offset,
                BIT_WIDTH=placement.field.bits,
            )


def _properties(element: Element, **values: object) -> None:
    for name, value in values.items():
        SubElement(element, "PROPERTY", NAME=name, VALUE=str(value))


def _overlay_module(description: OverlayDescription, flavour: Flavour, design_hash: int) -> Element:
    module, system = _module(description.name, description.vlnv), flavour.processing_system
    _registers(module, "S_AXI_CONTROL", description.register_map.with_constants(DESIGN_HASH=design_hash))
    base = flavour.base + REGISTERS.base
    values: dict[str, object] = {
        "DESIGN_HASH": f"0x{design_hash:08X}",
        "C_BASEADDR": f"0x{base:08X}",
        "C_HIGHADDR": f"0x{base + REGISTERS.size - 1:08X}",
    }
    if description.memory_data_bits is not None:
        values["MEMORY_DATA_BITS"] = description.memory_data_bits
    _parameters(module, values | dict(description.parameters))
    ports = SubElement(module, "PORTS")
    _port(ports, "clk", "I", (system.instance, system.clock), kind="clk")
    for index, name in enumerate(description.interrupts):
        _port(ports, name, "O", (CONCAT, f"In{index}"), kind="INTERRUPT")
    interfaces = SubElement(module, "BUSINTERFACES")
    _interface(interfaces, "S_AXI_CONTROL", "SLAVE", 32)
    memory_map = SubElement(module, "MEMORYMAP")
    for name, port, _ in wired_memories(description, flavour):
        master, bits = f"M_AXI_{name.upper()}", description.memory_data_bits or 0
        _interface(interfaces, master, "MASTER", bits, bus=port.name)
        _range(
            memory_map,
            master=master,
            slave=(system.instance, port.name),
            block=port.segments[0].rpartition("/")[2],
            kind="MEMORY",
            base=0,
            size=system.memory_bytes,
        )
    return module


def _intc_module(description: OverlayDescription, flavour: Flavour) -> Element:
    module = _module(INTC, "xilinx.com:ip:axi_intc:4.1")
    _registers(module, "s_axi", INTERRUPT_REGISTERS)
    inputs, base = len(description.interrupts), flavour.base + INTERRUPTS.base
    _parameters(
        module,
        {
            "C_NUM_INTR_INPUTS": inputs,
            "C_KIND_OF_INTR": "0x00000000",  # levels
            "C_KIND_OF_LVL": "0xFFFFFFFF",  # active high
            "C_HAS_IPR": 1,
            "C_HAS_SIE": 1,
            "C_HAS_CIE": 1,
            "C_HAS_IVR": 1,
            "C_BASEADDR": f"0x{base:08X}",
            "C_HIGHADDR": f"0x{base + INTERRUPTS.size - 1:08X}",
        },
    )
    ports = SubElement(module, "PORTS")
    system = flavour.processing_system
    _port(ports, "s_axi_aclk", "I", (system.instance, system.clock), kind="clk")
    _port(ports, "intr", "I", (CONCAT, "dout"), bits=inputs, kind="INTERRUPT")
    _port(ports, "irq", "O", (system.instance, system.irq), kind="INTERRUPT")
    _slave(module, "s_axi")
    return module


def _concat_module(description: OverlayDescription) -> Element:
    module = _module(CONCAT, "xilinx.com:ip:xlconcat:2.1")
    _parameters(module, {"NUM_PORTS": len(description.interrupts)})
    ports = SubElement(module, "PORTS")
    for index, name in enumerate(description.interrupts):
        _port(ports, f"In{index}", "I", (description.name, name))
    _port(ports, "dout", "O", (INTC, "intr"), bits=len(description.interrupts))
    SubElement(module, "BUSINTERFACES")
    return module


def _system_module(description: OverlayDescription, flavour: Flavour, clock_mhz: float) -> Element:
    system = flavour.processing_system
    module = _module(system.instance, system.vlnv, in_fabric=False)
    _parameters(module, dict(_system_parameters(description, flavour, clock_mhz)))
    ports = SubElement(module, "PORTS")
    _port(ports, system.clock, "O", (description.name, "clk"), (INTC, "s_axi_aclk"), kind="clk")
    _port(ports, system.irq, "I", (INTC, "irq"), kind="INTERRUPT")
    interfaces = SubElement(module, "BUSINTERFACES")
    _interface(interfaces, system.control_port, "MASTER", 32)
    for _, port, bits in wired_memories(description, flavour):
        _interface(interfaces, port.name, "SLAVE", bits)
    memory_map = SubElement(module, "MEMORYMAP")
    slaves = ((description.name, "S_AXI_CONTROL", REGISTERS), (INTC, "s_axi", INTERRUPTS))
    for instance, interface, window in slaves:
        _range(
            memory_map,
            master=system.control_port,
            slave=(instance, interface),
            block="Reg",
            kind="REGISTER",
            base=system.base + window.base,
            size=window.size,
        )
    return module


def _system_parameters(
    description: OverlayDescription, flavour: Flavour, clock_mhz: float
) -> Iterator[tuple[str, object]]:
    system = flavour.processing_system
    divisors = clock_divisors(pll_mhz=system.pll_mhz, clock_mhz=clock_mhz)
    actual_mhz = f"{system.pll_mhz / (divisors[0] * divisors[1]):.6f}"
    if flavour is Flavour.ZYNQMP:
        # pynq programs the widths of the ports between fabric and processor from these.
        yield "C_MAXIGP0_DATA_WIDTH", 32
    for _, port, bits in wired_memories(description, flavour):
        yield port.enable, 1
        yield port.described_width, bits
    for index in range(PL_CLOCKS):  # pynq asks for all of them
        zynqmp = f"PSU__CRL_APB__PL{index}_REF_CTRL__"
        if flavour is Flavour.ZYNQMP:
            yield f"PSU__FPGA_PL{index}_ENABLE", int(index == 0)
            yield f"{zynqmp}DIVISOR0", divisors[0]
            yield f"{zynqmp}DIVISOR1", divisors[1]
            yield f"{zynqmp}SRCSEL", system.pll_name
        else:
            yield f"PCW_FPGA_FCLK{index}_ENABLE", int(index == 0)
            yield f"PCW_FCLK{index}_PERIPHERAL_DIVISOR0", divisors[0]
            yield f"PCW_FCLK{index}_PERIPHERAL_DIVISOR1", divisors[1]
            yield f"PCW_FCLK{index}_PERIPHERAL_CLKSRC", system.pll_name
        # pynq 4.0.0 reads the ZynqMP name on both families, and fails on a Zynq-7000 without it.
        yield f"{zynqmp}ACT_FREQMHZ", actual_mhz
