"""AXI4 and AXI4-Lite as bundles of streams, and their flat names at the edge of a design.

Each of the five channels is a `stream.Signature`, so the one handshake rule of the project holds on the bus
too, and every stream unit (skid buffer, FIFO, arbiter) can sit on a channel. Outside tools know AXI by its
flat names; `FlatTop` gives it those.
"""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Elaboratable, Module, Signal, Value
from amaranth.hdl._ir import PortDirection  # has no public name in amaranth 0.5
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXI4", "AXI4Lite", "FlatTop", "Response"]


class Response(enum.Enum, shape=2):  # type: ignore[call-arg]  # amaranth's metaclass takes the shape
    """xRESP of AXI4."""

    # Any, because mypy does not see that the metaclass makes members of them.
    OKAY: Any = 0
    EXOKAY: Any = 1
    SLVERR: Any = 2
    DECERR: Any = 3


def _check_data_bits(data_bits: int, allowed: tuple[int, ...]) -> None:
    if data_bits not in allowed:
        raise ValueError(f"data_bits must be one of {allowed}, not {data_bits!r}")


class AXI4(wiring.Signature):
    """A full AXI4 port, seen from the master. Single identifier, incrementing bursts.

    `size`, `burst`, `prot` and `cache` travel with each address, because interconnects want them driven.
    """

    def __init__(self, *, data_bits: int, addr_bits: int = 40):
        _check_data_bits(data_bits, (32, 64, 128))
        self.data_bits = data_bits
        self.addr_bits = addr_bits
        address = data.StructLayout(
            {"addr": addr_bits, "len": 8, "size": 3, "burst": 2, "prot": 3, "cache": 4}
        )
        write = data.StructLayout({"data": data_bits, "strb": data_bits // 8, "last": 1})
        read = data.StructLayout({"data": data_bits, "resp": Response, "last": 1})
        super().__init__(
            {
                "aw": Out(stream.Signature(address)),
                "w": Out(stream.Signature(write)),
                "b": In(stream.Signature(data.StructLayout({"resp": Response}))),
                "ar": Out(stream.Signature(address)),
                "r": In(stream.Signature(read)),
            }
        )


class AXI4Lite(wiring.Signature):
    """An AXI4-Lite port of 32-bit words, seen from the master."""

    def __init__(self, *, addr_bits: int):
        self.addr_bits = addr_bits
        address = data.StructLayout({"addr": addr_bits, "prot": 3})
        super().__init__(
            {
                "aw": Out(stream.Signature(address)),
                "w": Out(stream.Signature(data.StructLayout({"data": 32, "strb": 4}))),
                "b": In(stream.Signature(data.StructLayout({"resp": Response}))),
                "ar": Out(stream.Signature(address)),
                "r": In(stream.Signature(data.StructLayout({"data": 32, "resp": Response}))),
            }
        )


class FlatTop(Elaboratable):
    """A top level whose ports have the names that Vivado, cocotbext-axi and a reader of waveforms expect.

    A member `control` with an AXI4-Lite signature becomes `s_axi_control_awaddr`, ...; an AXI4 member
    `memory` becomes `m_axi_memory_araddr`, ...; every other member keeps its path, joined by underscores.
    `ports` is what `amaranth.back.verilog.convert(..., ports=...)` takes.
    """

    def __init__(self, component: wiring.Component):
        self._component = component
        self._wires: list[tuple[Signal, Value, PortDirection]] = []
        for path, member, value in component.signature.flatten(component):
            direction = PortDirection.Input if member.flow is In else PortDirection.Output
            for name, part in self._parts(path, value):
                self._wires.append((Signal(len(part), name=name), part, direction))

    @property
    def ports(self) -> dict[str, tuple[Signal, PortDirection]]:
        return {wire.name: (wire, direction) for wire, _, direction in self._wires}

    def _parts(self, path, value) -> Iterator[tuple[str, Value]]:
        bus = self._component.signature.members[path[0]]
        signature = bus.signature if bus.is_signature else None
        if isinstance(signature, wiring.FlippedSignature):
            signature = signature.flip()
        if not isinstance(signature, (AXI4, AXI4Lite)):
            yield "_".join(map(str, path)), Value.cast(value)
            return
        prefix = f"{'m' if bus.flow is Out else 's'}_axi_{path[0]}_{path[1]}"
        if path[2] != "payload":
            yield prefix + path[2], Value.cast(value)
            return
        for field, _ in value.shape():
            yield prefix + field, Value.cast(value[field])

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.overlay = self._component
        for wire, part, direction in self._wires:
            m.d.comb += part.eq(wire) if direction is PortDirection.Input else wire.eq(part)
        return m
