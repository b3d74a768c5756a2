"""An AXI4 memory in Python for Amaranth's own simulator, and the ends of streams that drive and watch it.

Everything is advanced by one call a clock cycle, with what was sampled before the edge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from amaranth.hdl import Value

from hw.bus.axi import Response
from hw.bus.transfer import BurstPlan
from sim.stream_ports import StreamPort

__all__ = ["AxiMemory", "Conditions", "Sink", "Source", "Violation", "pack_beats", "unpack_beat"]

#: Cycles that a write burst whose address was accepted may keep the bus waiting for its next beat.
WRITE_LAG_CYCLES = 2


class Violation(AssertionError):
    """A unit broke a rule of AXI or of the streams, or hung."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What surrounds a unit."""

    latency_cycles: int = 0  #: from an address (or the last data) to the answer, beyond the registers
    gap: float = 0.0  #: probability, in each cycle, that a source offers nothing
    stall: float = 0.0  #: probability, in each cycle, that a sink does not take
    faults: tuple[tuple[int, int, Response], ...] = ()  #: first address, last address, answer
    stalls: Mapping[str, float] = field(default_factory=dict)  #: by port, where it differs from `stall`
    seed: int = 1

    def response(self, first: int, last: int) -> int:
        answers = [answer.value for low, high, answer in self.faults if first <= high and last >= low]
        return max(answers, default=Response.OKAY.value)


class Source:
    """Offers queued words, each from its cycle on, with gaps."""

    def __init__(self, port: StreamPort, conditions: Conditions):
        self.stream = port.stream
        self.queue: deque[tuple[int, int]] = deque()  #: (first cycle, word)
        self.offered = False
        self._gap = conditions.gap
        self._random = Random(f"{port.name} {conditions.seed}")

    def clear(self, ctx) -> None:
        """Forget everything, as a source does that is reset."""
        self.queue.clear()
        self.offered = False
        ctx.set(self.stream.valid, 0)

    def step(self, ctx, cycle: int, ready: int) -> bool:
        """Drive the next cycle; return whether the offered word was taken in the last."""
        taken = self.offered and bool(ready)
        if taken:
            self.queue.popleft()
        if taken or not self.offered:
            due = bool(self.queue) and self.queue[0][0] <= cycle
            self.offered = due and (self._gap == 0 or self._random.random() >= self._gap)
            ctx.set(self.stream.valid, self.offered)
            if self.offered:
                ctx.set(Value.cast(self.stream.payload), self.queue[0][1])
        return taken


class Sink:
    """Takes words, with stalls, and holds the other side to the handshake."""

    def __init__(self, port: StreamPort, conditions: Conditions):
        self.stream, self._name = port.stream, port.name
        self._stall = conditions.stalls.get(port.name, conditions.stall)
        self._random = Random(f"{port.name} {conditions.seed}")
        self._ready = False
        self._stalled: int | None = None

    def step(self, ctx, *, valid: int, word: int, may_withdraw: bool) -> int | None:
        """Drive the next cycle; return the word that was taken in the last."""
        if self._stalled is not None and not may_withdraw and (not valid or word != self._stalled):
            raise Violation(f"{self._name} changed while it was stalled")
        taken = word if valid and self._ready else None
        self._stalled = word if valid and not self._ready else None
        self._ready = self._stall == 0 or self._random.random() >= self._stall
        ctx.set(self.stream.ready, self._ready)
        return taken


@dataclass
class AxiMemory:
    """Answers in order, each beat no sooner than its latency; checks every burst and every write beat."""

    data_bits: int
    addr_bits: int
    burst_beats: int
    content: bytearray
    conditions: Conditions
    bursts: list[BurstPlan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._beat_bytes = self.data_bits // 8
        self._addresses: deque[BurstPlan] = deque()  # of writes
        self._beats: deque[tuple[int, int, int]] = deque()  # data, strobes, last
        self._waiting = 0  # cycles for which a write burst has had no beat

    @property
    def idle(self) -> bool:
        return not self._addresses and not self._beats

    def _burst(self, word: int) -> BurstPlan:
        """Decode and check an address word."""
        addr, rest = word % (1 << self.addr_bits), word >> self.addr_bits
        beats, size, kind = rest % 256 + 1, rest >> 8 & 7, rest >> 11 & 3
        bytes_moved = beats * self._beat_bytes
        if 1 << size != self._beat_bytes or kind != 1:
            raise Violation(f"a burst of size {size}, kind {kind} on a bus of {self.data_bits} bits")
        if addr % self._beat_bytes or addr // 4096 != (addr + bytes_moved - 1) // 4096:
            raise Violation(f"{beats} beats at {addr:#x} are unaligned or cross 4 KiB")
        if beats > self.burst_beats:
            raise Violation(f"a burst of {beats} beats; at most {self.burst_beats} are allowed")
        self.bursts.append(BurstPlan(addr=addr, beats=beats))
        return self.bursts[-1]

    def read(self, word: int, *, cycle: int, r: Source) -> None:
        """Take an address and queue its beats."""
        burst = self._burst(word)
        for index in range(burst.beats):
            addr = burst.addr + index * self._beat_bytes
            response = self.conditions.response(addr, addr + self._beat_bytes - 1)
            beat = int.from_bytes(self.content[addr : addr + self._beat_bytes], "little")
            beat |= response << self.data_bits | (index == burst.beats - 1) << (self.data_bits + 2)
            r.queue.append((cycle + self.conditions.latency_cycles, beat))

    def write(self, address: int | None, beat: int | None, *, cycle: int, b: Source, offered: bool) -> None:
        """Take an address, a beat, both or neither; queue the answer to each complete burst."""
        if address is not None:
            self._addresses.append(self._burst(address))
        if beat is not None:
            data, rest = beat % (1 << self.data_bits), beat >> self.data_bits
            self._beats.append((data, rest % (1 << self._beat_bytes), rest >> self._beat_bytes))
        expected = sum(burst.beats for burst in self._addresses)
        starving = len(self._beats) < expected and not offered
        self._waiting = self._waiting + 1 if starving else 0
        if self._waiting > WRITE_LAG_CYCLES:
            raise Violation("an address was given, but its data does not come")
        while self._addresses and len(self._beats) >= self._addresses[0].beats:
            self._finish(self._addresses.popleft(), cycle, b)

    def _finish(self, burst: BurstPlan, cycle: int, b: Source) -> None:
        end = burst.addr + burst.beats * self._beat_bytes
        response = self.conditions.response(burst.addr, end - 1)
        for index in range(burst.beats):
            data, strobes, last = self._beats.popleft()
            if last != (index == burst.beats - 1):
                raise Violation(f"w.last is {last} in beat {index} of {burst.beats}")
            for lane in range(self._beat_bytes):
                if strobes >> lane & 1 and response == Response.OKAY.value:
                    at = burst.addr + index * self._beat_bytes + lane
                    self.content[at] = data >> 8 * lane & 0xFF
        b.queue.append((cycle + self.conditions.latency_cycles, response))


def pack_beats(packet: bytes, *, data_bits: int) -> Sequence[int]:
    """The words of a `ByteBeat` stream that carry `packet`."""
    beat_bytes = data_bits // 8
    words = []
    for index in range(0, len(packet), beat_bytes):
        chunk = packet[index : index + beat_bytes]
        last = index + beat_bytes >= len(packet)
        keep = (1 << len(chunk)) - 1
        words.append(int.from_bytes(chunk, "little") | keep << data_bits | last << (data_bits + beat_bytes))
    return words


def unpack_beat(word: int, *, data_bits: int) -> tuple[bytes, bool]:
    """The bytes of one `ByteBeat` word, and whether it ends a packet."""
    beat_bytes = data_bits // 8
    keep = word >> data_bits & ((1 << beat_bytes) - 1)
    last = bool(word >> (data_bits + beat_bytes))
    count = keep.bit_length()
    if keep != (1 << count) - 1 or count == 0 or (count < beat_bytes and not last):
        raise Violation(f"keep is {keep:#b} in a beat with last {last}")
    return (word & ((1 << data_bits) - 1)).to_bytes(beat_bytes, "little")[:count], last
