"""Which outputs of a component follow which inputs within the cycle, read off its netlist.

A structural check, exact to the bit and without a solver: it holds for every input sequence, of any length.
"""

from __future__ import annotations

from amaranth.hdl import Fragment, Signal, Value
from amaranth.hdl._ir import PortDirection, build_netlist  # has no public name in amaranth 0.5
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sim.stream_ports import stream_ports

__all__ = ["StreamPathError", "check_streams", "combinational_paths"]


class StreamPathError(AssertionError):
    """A unit's `valid` or payload follows a `ready` within the cycle."""


def combinational_paths(component: wiring.Component) -> set[tuple[str, str]]:
    """Pairs (input, output) of port names such that some bit of the output follows the input in the cycle."""
    ports = {}
    for path, member, port in component.signature.flatten(component):
        value = Value.cast(port)
        if isinstance(value, Signal):  # `valid` may be a constant
            ports[_dotted(path)] = (value, PortDirection.Input if member.flow is In else PortDirection.Output)
    netlist = build_netlist(Fragment.get(component, None), ports=ports)
    # The clock, a port too, reaches everything through the flip-flops; it is no path.
    inputs = {
        bit: name
        for name, (start, width) in netlist.top.ports_i.items()
        if name in ports
        for bit in range(start, start + width)
    }
    reach = _Reach(netlist, inputs)
    return {
        (source, name) for name, nets in netlist.top.ports_o.items() for net in nets for source in reach(net)
    }


def _dotted(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class _Reach:
    """The input ports that a net follows, remembered net by net."""

    def __init__(self, netlist, source_of: dict[int, str]):
        self._netlist = netlist
        self._source_of = source_of
        self._known: dict = {}

    def __call__(self, net) -> frozenset[str]:
        pending = [net]
        while pending:
            current = pending[-1]
            if current in self._known:
                pending.pop()
                continue
            edges = self._edges(current)
            unknown = [edge for edge in edges if edge not in self._known]
            if unknown:
                pending += unknown
                continue
            own = self._own(current)
            self._known[current] = own.union(*(self._known[edge] for edge in edges))
            pending.pop()
        return self._known[net]

    def _own(self, net) -> frozenset[str]:
        if not net.is_const and net.cell == 0 and net.bit in self._source_of:
            return frozenset({self._source_of[net.bit]})
        return frozenset()

    def _edges(self, net) -> list:
        if net.is_const or net.is_late:
            return []
        return [edge for edge, _ in self._netlist.cells[net.cell].comb_edges_to(net.bit)]


def check_streams(component: wiring.Component) -> None:
    """Refuse a component whose `valid` or payload follows some stream's `ready` within the cycle."""
    outputs = [port.name for port in stream_ports(component) if port.flow is Out]
    ready = {f"{name}.ready" for name in outputs}
    offer = {f"{name}.{part}" for name in outputs for part in ("valid", "payload")}
    for source, target in sorted(combinational_paths(component)):
        if source in ready and target in offer:
            raise StreamPathError(
                f"{type(component).__name__}: {target} follows {source} within the cycle; "
                "valid must never wait for ready"
            )
