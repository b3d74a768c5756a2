"""What the sharing of one read port promises: nobody's address is lost, and everybody gets their own data."""

from __future__ import annotations

from amaranth.hdl import Assert, Assume, Cat, Cover, Module, Signal

from hw.tile.share import ReadShare

from .runner import Proof
from .stream_contract import Contract, Follower

__all__ = ["SHARE_PROOFS", "share_rules"]

#: Few in flight, so that the queue of who asked fills up within the depth of the proof.
SHARE = {"n": 2, "data_bits": 32, "addr_bits": 4, "outstanding": 6}


def share_rules(m: Module, unit: ReadShare) -> None:
    """Bit 0 of an address says whose it is, so that the bus tells who asked; the memory answers in order."""
    ar, r = unit.ar, unit.r
    asks, last = ar.valid & ar.ready, r.valid & r.ready & r.payload.last
    in_flight = Signal(6)
    m.d.sync += in_flight.eq(in_flight + asks - last)
    m.d.comb += [
        Assume(~r.valid | (in_flight != 0)),
        Assert(in_flight <= SHARE["outstanding"], "more bursts in flight than can be told apart"),
        Cover(in_flight == SHARE["outstanding"] - 2, "as many in flight as may be"),
    ]
    asked = Follower(m, "answer", item_bits=1)
    asked.enter(asks, ar.payload.addr[0])
    given = [reader.r.valid for reader in unit.readers]
    asked.leave(last, given[1])
    m.d.comb += Assert(~Cat(given).all(), "two readers get the same data")
    with m.If(r.valid & r.ready):
        m.d.comb += Assert(Cat(given).any(), "data that nobody gets")
    inside = []
    for index, reader in enumerate(unit.readers):
        m.d.comb += Assume(reader.ar.payload.addr[0] == index)
        follower = Follower(m, f"address_{index}", item_bits=len(ar.payload.addr))
        follower.enter(reader.ar.valid & reader.ar.ready, reader.ar.payload.addr)
        follower.leave(asks & (ar.payload.addr[0] == index), ar.payload.addr)
        inside.append(follower.inside != 0)
        with m.If(reader.r.valid):
            m.d.comb += Assert(reader.r.payload == r.payload, f"reader {index} gets something else")
    m.d.comb += Assert(~unit.idle | ~Cat(inside).any(), "idle with an address inside")


SHARE_PROOFS = (
    Proof(unit="tile ReadShare", contract=lambda: Contract(ReadShare(**SHARE), share_rules), depth=14),
)
