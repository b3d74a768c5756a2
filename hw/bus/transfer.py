"""What is asked of the DMA engines, and how a transfer is cut into bursts.

A transfer is any number of bytes from any address. On the bus it becomes bursts of whole, aligned beats,
and each burst ends at the latest where its own greatest size ends: with bursts of 16 beats of 8 bytes, at
every multiple of 128. So no burst crosses a multiple of 4 KiB, which AXI forbids, no comparison with that
boundary is needed, and memory controllers see whole lines. The price is one burst more for a transfer that
does not begin on such a multiple.

Two transfers never reach the bus: one of length zero, which completes at once, and one that runs past the
end of the address space, which is refused: it completes at once, and `error` reports DECERR at its address.
"""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import AXI4, Response

__all__ = ["LENGTH_BITS", "Burst", "BurstPlan", "BusError", "Planner", "Stalls", "Transfer", "plan_bursts"]

#: Bits of a transfer's length in bytes.
LENGTH_BITS = 32
#: What AXI3 ports (Zynq-7000) take at most, and what AXI4 allows.
BURST_BEATS = 16
BURST_BEATS_MAX = 256
OUTSTANDING_RANGE = range(4, 65)


class Transfer(data.StructLayout):
    """A request: `length` bytes, beginning at `addr`."""

    def __init__(self, addr_bits: int):
        super().__init__({"addr": addr_bits, "length": LENGTH_BITS})


class BusError(data.StructLayout):
    """An error response: `valid` for one cycle, with the response and the address that it came from."""

    def __init__(self, addr_bits: int):
        super().__init__({"valid": 1, "resp": Response, "addr": addr_bits})


#: High in each cycle lost to the cause: `address`, the bus does not take an address; `data`, none has come
#: (from the bus when reading, from the source when writing); `sink`, data is not taken (by the sink when
#: reading, by the bus when writing).
Stalls = data.StructLayout({"address": 1, "data": 1, "sink": 1})


class Burst(data.StructLayout):
    """One burst on its way through an engine.

    `len` is AXI's: beats less one. `first` and `last` say that a transfer begins and ends here; `offset` is
    the byte lane in which the transfer begins, `tail` the lane of its last byte in the last *packed* beat.
    An `empty` burst carries no beats: it only brings a transfer without any, perhaps `refused`, to its end.
    """

    def __init__(self, *, data_bits: int, addr_bits: int):
        lane_bits = (data_bits // 8 - 1).bit_length()
        super().__init__(
            {
                "addr": addr_bits,
                "len": 8,
                "first": 1,
                "last": 1,
                "offset": lane_bits,
                "tail": lane_bits,
                "empty": 1,
                "refused": 1,
            }
        )


@dataclass(frozen=True)
class BurstPlan:
    """One burst of a plan: the address of its first beat (aligned), and its beats."""

    addr: int
    beats: int


def plan_bursts(addr: int, length: int, *, data_bits: int, burst_beats: int = BURST_BEATS) -> list[BurstPlan]:
    """The golden planner: the bursts of `length` bytes from `addr`."""
    _check_burst_beats(burst_beats)
    if addr < 0 or length < 0:
        raise ValueError(
            f"a transfer needs an address and a length of at least 0, not {addr!r} and {length!r}"
        )
    beat_bytes = data_bits // 8
    word, end = addr // beat_bytes, -(-(addr + length) // beat_bytes)
    plan = []
    while length and word < end:
        boundary = (word // burst_beats + 1) * burst_beats
        beats = min(boundary, end) - word
        plan.append(BurstPlan(addr=word * beat_bytes, beats=beats))
        word += beats
    return plan


def _check_burst_beats(burst_beats: int) -> None:
    if burst_beats not in (allowed := [1 << n for n in range(BURST_BEATS_MAX.bit_length())]):
        raise ValueError(f"burst_beats must be one of {allowed}, not {burst_beats!r}")


def check_engine(*, data_bits: int, addr_bits: int, burst_beats: int, outstanding: int) -> None:
    """Refuse the parameters that no engine can be made with."""
    AXI4(data_bits=data_bits, addr_bits=addr_bits)  # refuses a bad width
    _check_burst_beats(burst_beats)
    if addr_bits not in range(16, 65):
        raise ValueError(f"addr_bits of a DMA engine must be 16 to 64, not {addr_bits!r}")
    if outstanding not in OUTSTANDING_RANGE:
        raise ValueError(
            f"outstanding must be {OUTSTANDING_RANGE.start} to {OUTSTANDING_RANGE.stop - 1} bursts, "
            f"not {outstanding!r}"
        )


def drive_address(m: Module, channel, burst, data_bits: int) -> None:
    """Load the address channel's payload register with `burst`."""
    m.d.sync += [
        channel.addr.eq(burst.addr),
        channel.len.eq(burst.len),
        channel.size.eq((data_bits // 8).bit_length() - 1),
        channel.burst.eq(1),  # incrementing
        channel.prot.eq(0),
        channel.cache.eq(0b0011),  # normal memory, bufferable: what vendors' DMA engines say, too
    ]


class Planner(wiring.Component):
    """Cut transfers into bursts, as `plan_bursts` does.

    Latency 4 cycles from a request to its first burst, then one burst a cycle; the next request is taken in
    the cycle after the last burst was. Full back-pressure, all outputs from registers.

    The block counters hold no sums: a burst starts at the start of its block, or at the first beat when it is
    the first, and ends at the end of its block, or at the last beat when it is the last.
    """

    LATENCY_CYCLES = 4

    def __init__(self, *, data_bits: int, addr_bits: int, burst_beats: int):
        check_engine(data_bits=data_bits, addr_bits=addr_bits, burst_beats=burst_beats, outstanding=8)
        self._addr_bits = addr_bits
        self._lane_bits = (data_bits // 8 - 1).bit_length()
        self._beat_bits = (burst_beats - 1).bit_length()
        super().__init__(
            {
                "i": In(stream.Signature(Transfer(addr_bits))),
                "o": Out(stream.Signature(Burst(data_bits=data_bits, addr_bits=addr_bits))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        lane_bits, beat_bits, addr_bits = self._lane_bits, self._beat_bits, self._addr_bits
        block_bits = lane_bits + beat_bits

        first_addr = Signal(addr_bits)
        length_less_1 = Signal(LENGTH_BITS)
        zero = Signal()
        end_addr = Signal(addr_bits)  # of the last byte
        refused = Signal()
        block = Signal(addr_bits - block_bits)
        blocks_left = Signal(addr_bits - block_bits)  # after this one
        is_first = Signal()
        is_last = Signal()

        start = Signal(beat_bits)
        end = Signal(beat_bits)
        m.d.comb += [
            start.eq(first_addr[lane_bits:block_bits] & is_first.replicate(beat_bits)),
            end.eq(end_addr[lane_bits:block_bits] | (~is_last).replicate(beat_bits)),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("TAKE") & ~self.o.valid)
            with m.State("TAKE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    first_addr.eq(self.i.payload.addr),
                    length_less_1.eq(self.i.payload.length - 1),
                    zero.eq(self.i.payload.length == 0),
                ]
                with m.If(self.i.valid):
                    m.next = "ADD"
            with m.State("ADD"):
                m.d.sync += Cat(end_addr, refused).eq(first_addr + length_less_1)
                m.next = "COUNT"
            with m.State("COUNT"):
                m.d.sync += [
                    block.eq(first_addr[block_bits:]),
                    blocks_left.eq(end_addr[block_bits:] - first_addr[block_bits:]),
                    is_first.eq(1),
                    is_last.eq(end_addr[block_bits:] == first_addr[block_bits:]),
                ]
                with m.If(zero | refused):
                    m.d.sync += is_last.eq(1)
                m.next = "EMIT"
            with m.State("EMIT"), m.If(~self.o.valid | self.o.ready):
                m.d.sync += [
                    self.o.valid.eq(1),
                    self.o.payload.len.eq(end - start),
                    self.o.payload.first.eq(is_first),
                    self.o.payload.last.eq(is_last),
                    self.o.payload.offset.eq(first_addr[:lane_bits]),
                    self.o.payload.tail.eq(length_less_1[:lane_bits]),
                    self.o.payload.empty.eq(zero | refused),
                    self.o.payload.refused.eq(~zero & refused),
                    block.eq(block + 1),
                    blocks_left.eq(blocks_left - 1),
                    is_first.eq(0),
                    is_last.eq(blocks_left == 1),
                ]
                m.d.sync += self.o.payload.addr.eq(Cat(Const(0, lane_bits), start, block))
                with m.If(refused):
                    m.d.sync += self.o.payload.addr.eq(first_addr)
                with m.If(is_last):
                    m.next = "TAKE"
        return m
