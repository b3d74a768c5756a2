"""Feature banks in equal parts, so that layers that take turns have a tape each, whose addresses wrap."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Value

__all__ = ["SHARE_MOST", "part_words", "wrapped", "wrapped_address"]

#: The banks are cut in half at most so many times.
SHARE_MOST = 3


def part_words(depth: int, share: int) -> int:
    return depth >> share


def wrapped_address(addr: int, base: int, *, share: int, depth: int) -> int:
    """The golden twin: `addr`, within the part in which `base` lies."""
    words = part_words(depth, share)
    return base % depth // words * words + addr % words


def wrapped(addr: Value, base: Value, share: Value, *, depth: int) -> Value:
    """`addr` with the leading bits of `base`, of which a cut fixes one each."""
    bits = depth.bit_length() - 1
    free = max(bits - SHARE_MOST, 0)
    leading = [Mux(share > bits - 1 - place, base[place], addr[place]) for place in range(free, bits)]
    return Cat(addr[:free], *leading)
