"""The vendor's block design around an overlay: processor, interconnect, reset and interrupt, as Tcl.

What the .hwh says and what this makes come from the same objects: names of the processor's ports and the
base address from `hw.overlay.hwh.Flavour`, windows and widths from the overlay's
description, balls from the board.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hw.boards.board import Board
from hw.flow.module_ports import ModulePort
from hw.overlay.description import CONTROL_ADDR_BITS, OverlayDescription
from hw.overlay.hwh import Flavour, clock_divisors, wired_memories

__all__ = ["PORTS", "ProcessorPorts", "block_design_tcl", "constraints_xdc"]

CELL = "overlay"
DESIGN = "system"


@dataclass(frozen=True, kw_only=True)
class ProcessorPorts:
    """What the vendor calls the rest of the processor's pins and segments."""

    reset: str
    control_clock: str


PORTS: Mapping[Flavour, ProcessorPorts] = {
    Flavour.ZYNQMP: ProcessorPorts(
        reset="pl_resetn0",
        control_clock="maxihpm0_fpd_aclk",
    ),
    Flavour.ZYNQ7000: ProcessorPorts(
        reset="FCLK_RESET0_N",
        control_clock="M_AXI_GP0_ACLK",
    ),
}


def block_design_tcl(
    description: OverlayDescription,
    ports: tuple[ModulePort, ...],
    *,
    board: Board,
    wrapper: str,
    clock_mhz: float,
) -> str:
    """Tcl that fills a block design in an open project which already holds the overlay's Verilog."""
    return "\n".join(_lines(description, ports, board, wrapper, clock_mhz)) + "\n"


def processor_parameters(
    description: OverlayDescription, *, flavour: Flavour, clock_mhz: float
) -> dict[str, str]:
    """What is set on the processor: the ports that are used and the clock; its boot loader did the rest."""
    system = flavour.processing_system
    first, second = clock_divisors(pll_mhz=system.pll_mhz, clock_mhz=clock_mhz)
    actual = f"{system.pll_mhz / (first * second):.6f}"
    memory = {f"CONFIG.{port.enable}": "0" for port in system.memory_ports}
    for _, port, bits in wired_memories(description, flavour):
        memory |= {f"CONFIG.{port.enable}": "1", f"CONFIG.{port.width}": str(bits)}
    if flavour is Flavour.ZYNQMP:
        return memory | {
            "CONFIG.PSU__USE__M_AXI_GP0": "1",
            "CONFIG.PSU__MAXIGP0__DATA_WIDTH": "32",
            "CONFIG.PSU__USE__M_AXI_GP1": "0",
            "CONFIG.PSU__USE__M_AXI_GP2": "0",
            "CONFIG.PSU__USE__IRQ0": "1",
            "CONFIG.PSU__FPGA_PL0_ENABLE": "1",
            "CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": actual,
        }
    return memory | {
        "CONFIG.PCW_USE_M_AXI_GP0": "1",
        "CONFIG.PCW_USE_FABRIC_INTERRUPT": "1",
        "CONFIG.PCW_IRQ_F2P_INTR": "1",
        "CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ": actual,
    }


def _cell(name: str, vlnv: str) -> str:
    # Without a version: the newest that this Vivado has.
    return f"create_bd_cell -type ip -vlnv {vlnv} {name}"


def _properties(cell: str, values: Mapping[str, str]) -> str:
    pairs = " ".join(f"{name} {{{value}}}" for name, value in values.items())
    return f"set_property -dict [list {pairs}] [get_bd_cells {cell}]"


def _bus(source: str, sink: str) -> str:
    return f"connect_bd_intf_net [get_bd_intf_pins {source}] [get_bd_intf_pins {sink}]"


def _net(name: str, *pins: str) -> str:
    return f"connect_bd_net -net {name} " + " ".join(f"[get_bd_pins {pin}]" for pin in pins)


def _lines(
    description: OverlayDescription,
    ports: tuple[ModulePort, ...],
    board: Board,
    wrapper: str,
    clock_mhz: float,
) -> Iterator[str]:
    assert board.flavour is not None
    flavour = board.flavour
    system, names = flavour.processing_system, PORTS[flavour]
    processor = system.instance
    memories = [(name, slave) for name, slave, _ in wired_memories(description, flavour)]
    yield f"create_bd_design {DESIGN}"
    yield _cell(processor, system.vlnv.rpartition(":")[0])
    yield _properties(processor, processor_parameters(description, flavour=flavour, clock_mhz=clock_mhz))
    yield f"create_bd_cell -type module -reference {wrapper} {CELL}"
    yield _cell("reset", "xilinx.com:ip:proc_sys_reset")
    buses = [("control", f"{processor}/{system.control_port}", f"{CELL}/s_axi_control")]
    buses += [(name, f"{CELL}/m_axi_{name}", f"{processor}/{slave.name}") for name, slave in memories]
    for name, source, sink in buses:
        yield _cell(name, "xilinx.com:ip:smartconnect")
        yield _properties(name, {"CONFIG.NUM_SI": "1", "CONFIG.NUM_MI": "1"})
        yield _bus(source, f"{name}/S00_AXI")
        yield _bus(f"{name}/M00_AXI", sink)
    clocked = [f"{CELL}/clk", "reset/slowest_sync_clk", "control/aclk", f"{processor}/{names.control_clock}"]
    for name, slave in memories:
        clocked += [f"{name}/aclk", f"{processor}/{slave.clock}"]
    yield _net("clock", f"{processor}/{system.clock}", *clocked)
    yield _net("resetn", f"{processor}/{names.reset}", "reset/ext_reset_in")
    yield _net("overlay_reset", "reset/peripheral_reset", f"{CELL}/rst")
    yield _net("bus_resetn", "reset/peripheral_aresetn", *(f"{name}/aresetn" for name, _, _ in buses))
    yield _net("interrupt", f"{CELL}/interrupt", f"{processor}/{system.irq}")
    for port in external_ports(ports):
        span = f"-from {port.bits - 1} -to 0 " if port.bits > 1 else ""
        yield f"create_bd_port -dir {'O' if port.output else 'I'} {span}{port.name}"
        yield f"connect_bd_net -net {port.name} [get_bd_ports {port.name}] [get_bd_pins {CELL}/{port.name}]"
    yield (
        f"assign_bd_address -offset 0x{system.base:08X} -range {1 << CONTROL_ADDR_BITS - 10}K "
        f"-target_address_space [get_bd_addr_spaces {processor}/Data] "
        f"[get_bd_addr_segs {CELL}/s_axi_control/reg0]"
    )
    for name, slave in memories:
        space = f"[get_bd_addr_spaces {CELL}/m_axi_{name}]"
        low, *high = (f"{processor}/{segment}" for segment in slave.segments)
        yield f"assign_bd_address -target_address_space {space} [get_bd_addr_segs {low}]"
        for segment in high:  # boards with 2 GiB have none
            assign = f"assign_bd_address -target_address_space {space} [get_bd_addr_segs {segment}]"
            yield f"if {{[llength [get_bd_addr_segs -quiet {segment}]]}} {{{assign}}}"
    yield "validate_bd_design"
    yield "save_bd_design"


def external_ports(ports: tuple[ModulePort, ...]) -> tuple[ModulePort, ...]:
    """The overlay's pins: what is neither bus nor clock, reset and interrupt."""
    return tuple(port for port in ports if not port.bus and port.name not in ("clk", "rst", "interrupt"))


def constraints_xdc(board: Board, ports: tuple[ModulePort, ...]) -> str:
    """Where the overlay's pins leave the chip; the clock's constraint comes with the processor."""
    lines = [f"# {board.title}, {board.part}. {board.note}"]
    for name, pin in board.pins_of({port.name: port.bits for port in external_ports(ports)}):
        lines.append(f"# {pin.where}")
        lines.append(
            f"set_property -dict {{PACKAGE_PIN {pin.ball} IOSTANDARD {pin.standard}}} [get_ports {{{name}}}]"
        )
    return "\n".join(lines) + "\n"
