"""What a board is to the flows: a chip, a clock, where ports leave it, and which flows can build for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from hw.overlay.hwh import Flavour

__all__ = ["Board", "FlowName", "Pin", "flow_named"]


class FlowName(Enum):
    """The ways from gateware to a bitstream. The value is what `--flow` takes."""

    ECP5 = "ecp5"  #: yosys, nextpnr-ecp5 and ecppack, all from pip
    ZYNQ7000 = "zynq7000"  #: yosys, nextpnr with a Xilinx back end, and the tools of project X-Ray
    VIVADO = "vivado"  #: the vendor's


def flow_named(name: str) -> FlowName:
    """The flow, by the word that the command line takes."""
    try:
        return FlowName(name.lower())
    except ValueError:
        known = ", ".join(flow.value for flow in FlowName)
        raise ValueError(f"there is no flow {name!r}; there are {known}") from None


@dataclass(frozen=True, kw_only=True)
class Pin:
    """Where one port of a design leaves the chip."""

    port: str  #: as the overlay calls it
    ball: str
    standard: str  #: I/O standard, and with it the voltage
    where: str  #: how a person with a cable finds it


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board. Two boards differ in nothing but these values."""

    name: str  #: as PYNQ images have it in BOARD, so that `host.overlays` finds its folder
    title: str
    part: str
    flows: tuple[FlowName, ...]  #: the first whose tools are installed is taken
    flavour: Flavour | None = None  #: how its processor is called in a .hwh; None where it has none
    clock_mhz: float = 100.0  #: that its overlays are built for
    memory_port: str | None = None  #: of the processor, by which overlays reach memory; the first of its kind
    pins: tuple[Pin, ...] = ()
    note: str = ""  #: what a user has to know before wires are attached

    @property
    def slug(self) -> str:
        """The name without what people spell differently."""
        return re.sub(r"[^a-z0-9]", "", self.name.lower())

    def pins_of(self, ports: dict[str, int]) -> tuple[tuple[str, Pin], ...]:
        """The pin of each port bit, by the name that constraints use; a port without one is refused."""
        placed: list[tuple[str, Pin]] = []
        by_port: dict[str, list[Pin]] = {}
        for pin in self.pins:
            by_port.setdefault(pin.port, []).append(pin)
        for port, bits in ports.items():
            found = by_port.get(port, [])
            if len(found) < bits:
                raise ValueError(
                    f"board {self.name} has {len(found)} pins for port {port!r} of {bits} bits; "
                    f"add them to its file in hw/boards (it has {', '.join(by_port) or 'none'})"
                )
            names = [port] if bits == 1 else [f"{port}[{index}]" for index in range(bits)]
            placed += zip(names, found, strict=False)
        return tuple(placed)
