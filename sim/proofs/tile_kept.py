"""What the memory of the maps on chip promises: every word of every run, as it was last written."""

from __future__ import annotations

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cover, Module, Signal

from hw.tile.kept import KeptMaps

from .runner import Proof
from .stream_contract import Contract, assert_bounded_wait
from .tile import SMALL

__all__ = ["KEPT", "KEPT_PROOFS", "kept_rules"]

#: Few words: the solver sees every one of them as a register.
KEPT = SMALL.replace(kept_words=4)


def kept_rules(m: Module, unit: KeptMaps) -> None:
    """Words come in the order in which they are asked for, none lost or doubled, each as it was written last.

    One word, whose number the solver chooses, is followed. Others are written meanwhile; it is not, as no row
    is stored where one is being read. Runs have one word to three and stay within the memory.
    """
    depth, request = KEPT.kept_words, unit.request.payload
    asked, given, chosen = Signal(6), Signal(6), Signal(6)
    place, content, followed = Signal(range(depth)), Signal(len(unit.write_data)), Signal()
    asks, gives = unit.request.valid & unit.request.ready, unit.data.valid & unit.data.ready
    index = (chosen - asked)[:6]
    m.d.comb += [
        chosen.eq(AnyConst(6)),
        place.eq(AnyConst(len(place))),
        *(port.eq(AnySeq(len(port))) for port in (unit.write, unit.write_addr, unit.write_data)),
        # The unit does not look at what it keeps, so that few bits stand for all.
        Assume((unit.write_addr < depth) & (unit.write_data[2:] == 0)),
        Assume((request.words > 0) & (request.words < 4) & (request.addr + request.words <= depth)),
        Assume(~(followed & unit.write & (unit.write_addr == place))),
    ]
    with m.If(unit.write & (unit.write_addr == place)):
        m.d.sync += content.eq(unit.write_data)
    with m.If(asks):
        m.d.sync += asked.eq(asked + request.words)
        with m.If((index < request.words) & (request.addr + index == place)):
            m.d.sync += followed.eq(1)
    m.d.comb += [
        Assert(~unit.data.valid | (given != asked), "a word that was not asked for"),
        Cover(gives & followed & (given == chosen) & (given == 4) & (content != 0), "a word of a later run"),
    ]
    with m.If(gives):
        m.d.sync += given.eq(given + 1)
        with m.If(followed & (given == chosen)):
            m.d.comb += Assert(unit.data.payload == content, "lost, doubled, out of order or not as written")
            m.d.sync += followed.eq(0)
    held, waits = given != asked, unit.data.valid & ~unit.data.ready
    assert_bounded_wait(
        m,
        held & ~unit.data.valid,
        cycles=unit.LATENCY_CYCLES - 1,
        message="a word that was asked for is late",
    )
    assert_bounded_wait(
        m,
        ~waits & ~unit.request.ready,
        cycles=3,
        message="not ready although the words before are on their way",
    )


KEPT_PROOFS = (Proof(unit="tile KeptMaps", contract=lambda: Contract(KeptMaps(KEPT), kept_rules), depth=16),)
