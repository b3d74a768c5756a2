import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.tile.parts import SHARE_MOST, part_words, wrapped, wrapped_address


class Wrapped(wiring.Component):
    """`wrapped` with ports."""

    addr: In(8)
    base: In(8)
    share: In(2)
    o: Out(8)

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(wrapped(self.addr, self.base, self.share, depth=self.depth))
        return m


@pytest.mark.parametrize("depth", [2, 4, 8, 32])
def test_gateware_wraps_as_its_golden_twin(depth):
    """Addresses and bases beyond the memory too, and every cut that leaves a word."""
    unit, compared = Wrapped(depth), 0
    shares = [share for share in range(SHARE_MOST + 1) if part_words(depth, share)]

    async def bench(ctx):
        nonlocal compared
        for share in shares:
            ctx.set(unit.share, share)
            for base in range(0, 2 * depth + 1):
                ctx.set(unit.base, base)
                for addr in range(0, 2 * depth + 1):
                    ctx.set(unit.addr, addr)
                    found = ctx.get(unit.o)
                    assert found == wrapped_address(addr, base, share=share, depth=depth), (addr, base, share)
                    compared += 1

    simulator = Simulator(unit)
    simulator.add_testbench(bench)
    simulator.run()
    assert compared == len(shares) * (2 * depth + 1) ** 2


@pytest.mark.parametrize("share", range(SHARE_MOST + 1))
def test_parts_are_equal_disjoint_and_all_of_the_memory(share):
    depth = 64
    words = part_words(depth, share)
    for base in range(depth):
        part = {wrapped_address(addr, base, share=share, depth=depth) for addr in range(base, base + words)}
        first = base - base % words
        assert part == set(range(first, first + words)), "a walk of so many words meets each of its part once"
        assert wrapped_address(base, base, share=share, depth=depth) == base
    assert words << share == depth
