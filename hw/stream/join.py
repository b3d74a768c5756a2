"""Several streams to one whose items hold one item of each."""

from collections.abc import Iterable, Mapping

from amaranth.hdl import Cat, Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Join"]


class Join(wiring.Component):
    """Wait for an item on every input, then pass them on together.

    `shapes` names the inputs: `Join(shapes={"row": 8, "column": 4})` has `i.row`, `i.column` and an output
    whose payload has the fields `row` and `column`. Latency 0 cycles, initiation interval 1 cycle. Full
    back-pressure: within the cycle, an input's `ready` rises when all items are there and `o.ready` is up.
    """

    LATENCY_CYCLES = 0
    INTERVAL_CYCLES = 1

    def __init__(self, *, shapes: Mapping[str, object]):
        if not shapes:
            raise ValueError(f"shapes of a Join must name at least one input, not {shapes!r}")
        self.names = tuple(shapes)
        inputs = wiring.Signature({name: Out(stream.Signature(shape)) for name, shape in shapes.items()})
        super().__init__({"i": In(inputs), "o": Out(stream.Signature(data.StructLayout(dict(shapes))))})

    def compute(self, items: Mapping[str, Iterable]) -> list[dict]:
        """The golden twin: items paired by position, as many as the shortest input has."""
        # Not strict: what has no partner yet stays where it is.
        rows = zip(*(items[name] for name in self.names), strict=False)
        return [dict(zip(self.names, row, strict=True)) for row in rows]

    def elaborate(self, platform) -> Module:
        m = Module()
        inputs = {name: getattr(self.i, name) for name in self.names}
        m.d.comb += self.o.valid.eq(Cat(item.valid for item in inputs.values()).all())
        for name, item in inputs.items():
            m.d.comb += [self.o.payload[name].eq(item.payload), item.ready.eq(self.o.valid & self.o.ready)]
        return m
