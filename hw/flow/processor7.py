"""The top level of a Zynq-7000 for flows without block designs: the processor as a primitive, and an overlay.

Clock, reset, memory and pins of the processor are set up by the boot loader of the board's image; here it
only lends its ports. The overlay hangs on M_AXI_GP0, S_AXI_HP0, with two memory ports S_AXI_HP1 too, and the
first interrupt line, as in the .hwh.
"""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.hdl._ir import PortDirection  # has no public name in amaranth 0.5
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import Out

from hw.bus.axi3 import Axi3ToLite
from hw.bus.transfer import BURST_BEATS
from hw.overlay.base import Overlay
from hw.overlay.description import CONTROL_ADDR_BITS

__all__ = ["Processor7Top"]

#: What AXI3 has bits for, and the port's own width.
_BURST_BEATS_MAX, _MEMORY_BITS = 16, 64


class Processor7Top(Elaboratable):
    """An overlay with the processor around it; `ports` are the overlay's pins."""

    def __init__(self, overlay: Overlay):
        memory_bits = overlay.description.memory_data_bits
        if memory_bits not in (None, _MEMORY_BITS):
            raise ValueError(
                f"overlay {overlay.description.name}: the memory port of a Zynq-7000 is {_MEMORY_BITS} bits "
                f"wide without an interconnect, not {memory_bits!r}; build the overlay for "
                f"{_MEMORY_BITS}, or use the vendor's flow"
            )
        if BURST_BEATS > _BURST_BEATS_MAX:
            raise ValueError(f"AXI3 has bursts of at most {_BURST_BEATS_MAX} beats, not {BURST_BEATS!r}")
        self._overlay = overlay
        self._pins: dict[str, tuple[Signal, PortDirection]] = {}
        for name in overlay.pins:
            output = overlay.signature.members[name].flow is Out
            wire = Signal(len(Value.cast(getattr(overlay, name))), name=name)
            self._pins[name] = (wire, PortDirection.Output if output else PortDirection.Input)

    @property
    def ports(self) -> dict[str, tuple[Signal, PortDirection]]:
        return dict(self._pins)

    @property
    def widths(self) -> dict[str, int]:
        return {name: len(wire) for name, (wire, _) in self._pins.items()}

    def elaborate(self, platform) -> Module:
        m = Module()
        overlay = self._overlay
        m.submodules.overlay = overlay
        m.submodules.bridge = bridge = Axi3ToLite(addr_bits=CONTROL_ADDR_BITS)
        wiring.connect(m, bridge.registers, overlay.control)
        clocks, resets = Signal(4), Signal(4)
        m.domains.sync = ClockDomain("sync")
        m.submodules.clock_buffer = Instance("BUFG", i_I=clocks[0], o_O=ClockSignal("sync"))
        m.submodules.reset = ResetSynchronizer(~resets[0])
        interrupts = Signal(20)
        m.d.comb += interrupts[0].eq(overlay.interrupt)
        ports: dict[str, Value] = {
            "o_FCLKCLK": clocks,
            "o_FCLKRESETN": resets,
            "i_FCLKCLKTRIGN": Const(0, 4),
            "i_IRQF2P": interrupts,
        }
        ports |= self._control_ports(bridge)
        for index, memory in enumerate(overlay.description.memories):
            ports |= self._memory_ports(getattr(overlay, memory), f"SAXIHP{index}")
        # The tools must not drop it: the chip always has one.
        m.submodules.processor = Instance("PS7", a_keep="true", **ports)
        for name, (wire, direction) in self._pins.items():
            value = Value.cast(getattr(overlay, name))
            m.d.comb += value.eq(wire) if direction is PortDirection.Input else wire.eq(value)
        return m

    def _control_ports(self, bridge: Axi3ToLite) -> dict[str, Value]:
        """M_AXI_GP0: the processor asks."""
        host, prefix = bridge.processor, "MAXIGP0"
        ports: dict[str, Value] = {f"i_{prefix}ACLK": ClockSignal("sync")}
        for channel in ("aw", "w", "ar"):
            stream = getattr(host, channel)
            name = f"{prefix}{channel.upper()}"
            ports |= {f"o_{name}VALID": stream.valid, f"i_{name}READY": stream.ready}
            ports |= {
                f"o_{name}{field.upper()}": Value.cast(stream.p[field]) for field, _ in stream.p.shape()
            }
        for channel in ("b", "r"):
            stream = getattr(host, channel)
            name = f"{prefix}{channel.upper()}"
            ports |= {f"i_{name}VALID": stream.valid, f"o_{name}READY": stream.ready}
            ports |= {
                f"i_{name}{field.upper()}": Value.cast(stream.p[field]) for field, _ in stream.p.shape()
            }
        return ports

    def _memory_ports(self, bus, prefix: str) -> dict[str, Value]:
        """S_AXI_HP: the processor answers. AXI4 without long bursts is AXI3 with write data in order."""
        ports: dict[str, Value] = {
            f"i_{prefix}ACLK": ClockSignal("sync"),
            f"i_{prefix}RDISSUECAP1EN": Const(0, 1),
            f"i_{prefix}WRISSUECAP1EN": Const(0, 1),
            f"i_{prefix}WID": Const(0, 6),
        }
        for channel in ("aw", "ar"):
            stream, name = getattr(bus, channel), f"{prefix}{channel.upper()}"
            ports |= {f"i_{name}VALID": stream.valid, f"o_{name}READY": stream.ready}
            ports |= {
                f"i_{name}ADDR": stream.p.addr[:32],
                f"i_{name}LEN": stream.p.len[:4],
                f"i_{name}SIZE": stream.p.size[:2],
                f"i_{name}BURST": stream.p.burst,
                f"i_{name}PROT": stream.p.prot,
                f"i_{name}CACHE": stream.p.cache,
                f"i_{name}ID": Const(0, 6),
                f"i_{name}LOCK": Const(0, 2),
                f"i_{name}QOS": Const(0, 4),
            }
        return ports | {
            f"i_{prefix}WVALID": bus.w.valid,
            f"o_{prefix}WREADY": bus.w.ready,
            f"i_{prefix}WDATA": bus.w.p.data,
            f"i_{prefix}WSTRB": bus.w.p.strb,
            f"i_{prefix}WLAST": bus.w.p.last,
            f"o_{prefix}BVALID": bus.b.valid,
            f"i_{prefix}BREADY": bus.b.ready,
            f"o_{prefix}BRESP": bus.b.p.resp.as_value(),
            f"o_{prefix}RVALID": bus.r.valid,
            f"i_{prefix}RREADY": bus.r.ready,
            f"o_{prefix}RDATA": bus.r.p.data,
            f"o_{prefix}RRESP": bus.r.p.resp.as_value(),
            f"o_{prefix}RLAST": bus.r.p.last,
        }
