"""The ports of an overlay's top level, read from its Verilog, and the C++ header that names them.

The harness (harness.cpp) is one file for every overlay; what differs between overlays is in this header:
an accessor struct for each AXI port, and a table of the pins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

__all__ = ["Port", "TopPorts"]

_READ = (
    "arvalid", "arready", "araddr", "arlen", "arsize", "arburst", "rvalid", "rready",
    "rdata", "rresp", "rlast",
)  # fmt: skip
_WRITE = (
    "awvalid", "awready", "awaddr", "awlen", "awsize", "awburst",
    "wvalid", "wready", "wdata", "wstrb", "wlast", "bvalid", "bready", "bresp",
)  # fmt: skip
_CONTROL = (
    "awvalid", "awready", "awaddr", "wvalid", "wready", "wdata", "wstrb", "bvalid", "bready", "bresp",
    "arvalid", "arready", "araddr", "rvalid", "rready", "rdata", "rresp",
)  # fmt: skip
_CONTROL_PREFIX = "s_axi_control_"
_SYSTEM = ("clk", "rst", "interrupt")


@dataclass(frozen=True, kw_only=True)
class Port:
    name: str
    bits: int
    output: bool

    @property
    def bytes(self) -> int:
        """Size of the member: the next C integer, or whole 32-bit words."""
        if self.bits > 64:
            return 4 * ((self.bits + 31) // 32)
        return next(size for size in (1, 2, 4, 8) if 8 * size >= self.bits)


@dataclass(frozen=True)
class TopPorts:
    """All ports of the top-level module, in the order of their declaration."""

    module: str
    ports: tuple[Port, ...]

    @classmethod
    def of_verilog(cls, verilog: str, *, overlay: str) -> TopPorts:
        """Read the module with an AXI4-Lite slave `s_axi_control_*`; Amaranth writes it last."""
        for name, body in reversed(re.findall(r"^module (\w+)\(.*?\);(.*?)^endmodule", verilog, re.M | re.S)):
            found = re.findall(r"^\s*(input|output) (?:wire |reg )?(?:\[(\d+):0\] )?(\w+);", body, re.M)
            ports = tuple(
                Port(name=port, bits=int(msb or 0) + 1, output=way == "output") for way, msb, port in found
            )
            if any(port.name.startswith(_CONTROL_PREFIX) for port in ports):
                top = cls(module=name, ports=ports)
                top._check(overlay)
                return top
        raise ValueError(
            f"overlay {overlay!r}: no module has ports {_CONTROL_PREFIX}*; the simulated board reaches an "
            "overlay through an AXI4-Lite slave called 'control' (hw.bus.axi.FlatTop names it so)"
        )

    def _check(self, overlay: str) -> None:
        needed = ["clk", "rst", *(_CONTROL_PREFIX + name for name in _CONTROL)]
        names = {port.name for port in self.ports}
        missing = [name for name in needed if name not in names]
        if missing:
            raise ValueError(f"overlay {overlay!r}: module {self.module!r} lacks the ports {missing!r}")
        for name in self.masters:
            if self.master_bits(name) not in (32, 64, 128):
                raise ValueError(
                    f"overlay {overlay!r}: master {name!r} moves {self.master_bits(name)!r} bits a beat; "
                    "the ports of the processing system are 32, 64 or 128 bits wide"
                )

    @cached_property
    def masters(self) -> tuple[str, ...]:
        """Names of the AXI4 masters."""
        found = (re.fullmatch(r"m_axi_(\w+)_(?:ar|aw)valid", port.name) for port in self.ports)
        return tuple(dict.fromkeys(match[1] for match in found if match))

    @cached_property
    def pins(self) -> tuple[Port, ...]:
        """What is neither bus, clock, reset nor interrupt, in the order of the harness's table."""
        return tuple(
            port
            for port in self.ports
            if port.name not in _SYSTEM and not port.name.startswith((_CONTROL_PREFIX, "m_axi_"))
        )

    def master_bits(self, name: str) -> int:
        data = (f"m_axi_{name}_rdata", f"m_axi_{name}_wdata")
        return next(port.bits for port in self.ports if port.name in data)

    def header(self, model_header: str) -> str:
        """overlay_ports.h for the harness; `model_header` is Voverlay.h, where the members' names stand."""
        names = {port.name for port in self.ports}
        member = _members(model_header)
        lines: list[str] = []
        lines += _accessors("Control", _CONTROL_PREFIX, _CONTROL, "")
        for name in self.masters:
            prefix = f"m_axi_{name}_"
            reads, writes = prefix + "arvalid" in names, prefix + "awvalid" in names
            constants = (
                f'  static constexpr const char *name = "{name}";\n'
                f"  static constexpr unsigned bytes = {self.master_bits(name) // 8};\n"
                f"  static constexpr bool reads = {str(reads).lower()}, writes = {str(writes).lower()};"
            )
            lines += _accessors(
                f"Master_{name}", prefix, (_READ if reads else ()) + (_WRITE if writes else ()), constants
            )
        models = ", ".join(f"Model<Master_{name}>" for name in self.masters)
        lines.append(f"template <template <class> class Model> using EachMaster = std::tuple<{models}>;")
        level = f"t.{member['interrupt']}" if "interrupt" in names else "false"
        lines.append(f"static inline bool interrupt_level(Top &t) {{ (void)t; return {level}; }}")
        rows = [
            f"  {{{pin.bytes}, {str(pin.output).lower()}, "
            f"[](Top &t) -> void * {{ return (void *)&t.{member[pin.name]}; }}}},"
            for pin in self.pins
        ]
        # A sentinel row, because C++ has no empty arrays.
        lines += ["static const PinPlace pin_places[] = {", *rows, "  {0, false, nullptr}", "};"]
        return "\n".join(lines) + "\n"


def _members(model_header: str) -> dict[str, str]:
    """Port names to members. Verilator spells double underscores out and prefixes words that C++ may know."""
    found = re.findall(r"VL_(?:IN|OUT)\w*\(&(\w+),", model_header)
    return {name.removeprefix("__SYM__").replace("___05F", "__"): name for name in found}


def _accessors(struct: str, prefix: str, signals: tuple[str, ...], constants: str) -> list[str]:
    members = [f"  static auto &{name}(Top &t) {{ return t.{prefix}{name}; }}" for name in signals]
    return [f"struct {struct} {{", constants, *members, "};"]
