"""The streams at the edge of a component, found by walking its signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Shape, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["StreamPort", "stream_ports"]


@dataclass(frozen=True)
class StreamPort:
    """A stream at the edge of a component."""

    name: str  #: as one writes it: `i`, `o[1]`, `memory.ar`
    flow: wiring.Flow  #: In: the component takes the items
    stream: Any  #: a stream.Interface
    shape: Any  #: of the payload

    def encode(self, item: Any) -> int:
        """The bits of a payload given as an integer, a dict, a list or a constant of the port's shape."""
        if isinstance(item, int) and not isinstance(self.shape, data.Layout):
            return item & ((1 << Shape.cast(self.shape).width) - 1)
        return Const.cast(Value.cast(self.shape.const(item))).value

    def decode(self, bits: int) -> Any:
        """The inverse: integers, and dicts and lists of them."""
        return _decode(self.shape, bits)


def _decode(shape: Any, bits: int) -> Any:
    if isinstance(shape, data.Layout):
        fields = {
            key: _decode(field.shape, (bits >> field.offset) & ((1 << field.width) - 1))
            for key, field in shape
        }
        return list(fields.values()) if isinstance(shape, data.ArrayLayout) else fields
    plain = Shape.cast(shape)
    negative = plain.signed and bits >> (plain.width - 1)
    return bits - (1 << plain.width) if negative else bits


def stream_ports(component: wiring.Component) -> list[StreamPort]:
    """Every stream among the component's ports, also inside arrays and nested interfaces."""
    return list(_streams(component.signature, component, "", Out))


def _streams(signature, interface, prefix: str, outward: wiring.Flow) -> Iterator[StreamPort]:
    for name, member in signature.members.items():
        if not member.is_signature:
            continue
        flow = member.flow if outward is Out else member.flow.flip()
        # The signature of an `In` member reads flipped; its own members must be read as they were written.
        flipped = member.flow is In
        inner = member.signature.flip() if flipped else member.signature
        for path, element in _elements(getattr(interface, name), member.dimensions, prefix + name):
            if isinstance(inner, stream.Signature):
                yield StreamPort(path, flow, element, inner.members["payload"].shape)
            else:
                yield from _streams(inner, element, f"{path}.", flow)


def _elements(interface, dimensions: tuple[int, ...], path: str) -> Iterator[tuple[str, Any]]:
    if not dimensions:
        yield path, interface
        return
    for index in range(dimensions[0]):
        yield from _elements(interface[index], dimensions[1:], f"{path}[{index}]")
