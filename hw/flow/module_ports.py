"""The ports of a Verilog module that Amaranth wrote, and a wrapper for Vivado's block designs."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ModulePort", "block_wrapper", "module_ports"]

_BUS = re.compile(r"(?P<bus>[sm]_axi_\w+?)_(?P<channel>aw|w|b|ar|r)(?P<field>[a-z]+)")


@dataclass(frozen=True, kw_only=True)
class ModulePort:
    name: str
    bits: int
    output: bool

    @property
    def declaration(self) -> str:
        span = f"[{self.bits - 1}:0] " if self.bits > 1 else ""
        return f"{'output' if self.output else 'input'} wire {span}{self.name}"

    @property
    def bus(self) -> str | None:
        """The AXI interface that the port belongs to."""
        found = _BUS.fullmatch(self.name)
        return found["bus"] if found else None

    @property
    def logical_name(self) -> str:
        """What the interface's definition calls the port."""
        found = _BUS.fullmatch(self.name)
        assert found is not None
        return (found["channel"] + found["field"]).upper()


def module_ports(verilog: str, module: str) -> tuple[ModulePort, ...]:
    """In the order of their declaration."""
    found = re.search(rf"^module {re.escape(module)}\(.*?\);(.*?)^endmodule", verilog, re.M | re.S)
    if not found:
        raise ValueError(f"the generated Verilog has no module {module!r}")
    ports = re.findall(r"^\s*(input|output) (?:wire |reg )?(?:\[(\d+):0\] )?(\w+);", found[1], re.M)
    return tuple(
        ModulePort(name=name, bits=int(high or 0) + 1, output=way == "output") for way, high, name in ports
    )


def block_wrapper(ports: tuple[ModulePort, ...], *, module: str, wrapper: str) -> str:
    """A module that hands every port through and says in attributes which of them form which interface.

    Vivado would guess from names; what it guesses differs between versions, and it takes `rst` for
    low-active.
    """
    buses = sorted({port.bus for port in ports if port.bus})
    lines = [f"module {wrapper} ("]
    for index, port in enumerate(ports):
        attribute = _attribute(port, buses)
        comma = "," if index < len(ports) - 1 else ""
        lines.append(f"  {attribute}{port.declaration}{comma}")
    lines += [");", f"  {module} overlay ("]
    lines.append(",\n".join(f"    .{port.name}({port.name})" for port in ports))
    lines += ["  );", "endmodule", ""]
    return "\n".join(lines)


def _attribute(port: ModulePort, buses: list[str]) -> str:
    if port.name == "clk":
        return (
            '(* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 clk CLK", X_INTERFACE_PARAMETER = '
            f'"ASSOCIATED_BUSIF {":".join(buses)}, ASSOCIATED_RESET rst" *)\n  '
        )
    if port.name == "rst":
        return (
            '(* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 rst RST", '
            'X_INTERFACE_PARAMETER = "POLARITY ACTIVE_HIGH" *)\n  '
        )
    if port.name == "interrupt":
        return (
            '(* X_INTERFACE_INFO = "xilinx.com:signal:interrupt:1.0 interrupt INTERRUPT", '
            'X_INTERFACE_PARAMETER = "SENSITIVITY LEVEL_HIGH" *)\n  '
        )
    if port.bus:
        return f'(* X_INTERFACE_INFO = "xilinx.com:interface:aximm:1.0 {port.bus} {port.logical_name}" *)\n  '
    return ""
