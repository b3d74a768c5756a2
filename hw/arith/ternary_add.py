"""The sum of three numbers at one look-up table a bit."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["TECHNOLOGIES", "TernaryAdd", "two_luts"]

#: Families whose look-up tables have two outputs and a carry chain of their own, by yosys's names.
TECHNOLOGIES = ("xc7", "xcup")
#: O5, the upper line, is used as one output and O6 as the other, so input 5 is high.
UPPER_HALF = 32
CARRY_BITS = 4


def two_luts(
    m: Module, name: str, low: list[int], high: list[int], inputs: list[Value]
) -> tuple[Value, Value]:
    """Two functions of the same up to five inputs in one table: `low[n]` is the bit for inputs `n`."""
    o5, o6 = Signal(name=f"{name}_o5"), Signal(name=f"{name}_o6")
    size = 1 << len(inputs)
    table = 0
    for index in range(UPPER_HALF):
        table |= low[index % size] << index | high[index % size] << UPPER_HALF + index
    pins = [*inputs, *[Const(0)] * (5 - len(inputs)), Const(1)]
    ports = {f"i_I{number}": pin for number, pin in enumerate(pins)}
    m.submodules[name] = Instance("LUT6_2", p_INIT=Const(table, 64), **ports, o_O5=o5, o_O6=o6)
    return o5, o6


class TernaryAdd(wiring.Component):
    """`total = a + b + c`, unsigned; combinational.

    Synthesis tools other than the vendors' spend a row of full adders and then a carry chain on it. With
    `technology`, the look-up tables and carry chains of that family are instantiated: each table gives the
    sum of its three bits and the majority of the bits below, as one table and its fast carry can hold both.
    """

    def __init__(self, *, bits: tuple[int, int, int], technology: str | None = None):
        if technology is not None and technology not in TECHNOLOGIES:
            raise ValueError(
                f"technology must be one of {TECHNOLOGIES!r} or None for any, not {technology!r}"
            )
        self._technology = technology
        self.total_bits = self.compute(*((1 << width) - 1 for width in bits)).bit_length()
        super().__init__(
            {"a": In(bits[0]), "b": In(bits[1]), "c": In(bits[2]), "total": Out(self.total_bits)}
        )

    @staticmethod
    def compute(a: int, b: int, c: int) -> int:
        """The golden twin."""
        return a + b + c

    def elaborate(self, platform) -> Module:
        m = Module()
        if self._technology is None:
            m.d.comb += self.total.eq(self.a + self.b + self.c)
        else:
            self._instantiate(m)
        return m

    def _instantiate(self, m: Module) -> None:
        width = max(len(self.a), len(self.b), len(self.c))
        ones = [(n & 1) + (n >> 1 & 1) + (n >> 2 & 1) for n in range(16)]
        majority: Value = Const(0)
        sums: list[Value] = []
        carried: list[Value] = []
        for bit in range(width):
            inputs = [port[bit] if bit < len(port) else Const(0) for port in (self.a, self.b, self.c)]
            carried.append(majority)
            majority, total = two_luts(
                m,
                f"bit{bit}",
                [count >> 1 for count in ones],
                [(count + (n >> 3)) & 1 for n, count in enumerate(ones)],
                [*inputs, majority],
            )
            sums.append(total)
        sums.append(majority)
        carried.append(Const(0))
        m.d.comb += self.total.eq(_carry_chain(m, sums, carried))


def _carry_chain(m: Module, sums: list[Value], carried: list[Value]) -> Value:
    """Add two numbers of which `sums` is the exclusive or already; one bit more than they have."""
    carry: Value = Const(0)
    result = []
    count = len(sums) + 1
    for start in range(0, count, CARRY_BITS):
        part = slice(start, start + CARRY_BITS)
        outputs, carries = Signal(CARRY_BITS, name=f"o_{start}"), Signal(CARRY_BITS, name=f"co_{start}")
        select, data = Signal(CARRY_BITS, name=f"s_{start}"), Signal(CARRY_BITS, name=f"di_{start}")
        m.d.comb += [select.eq(Cat(sums[part])), data.eq(Cat(carried[part]))]
        m.submodules[f"carry{start}"] = Instance(
            "CARRY4", i_CI=carry, i_CYINIT=Const(0), i_DI=data, i_S=select, o_O=outputs, o_CO=carries
        )
        carry = carries[-1]
        result.append(outputs)
    return Cat(result)
