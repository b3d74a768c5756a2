"""Traffic of every kind for the CAN receiver, well-formed and hostile, with what must come out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hw.can.bit_timing import BitTiming
from sim.can_bus import (
    DOMINANT,
    BusFrame,
    Waveform,
    error_frame,
    frame_bits,
    idle,
    overload_frame,
    random_frame,
    receive,
    with_glitches,
)
from sim.can_fd import FD_SIZES, send_fd_frame
from sim.can_line import CanLine

__all__ = ["Traffic", "mixed_traffic", "run_campaign"]

#: Recessive bits that bring every receiver back, whatever was before: at most six until it sees a stuff
#: error, then eleven.
RECOVERY_BITS = 17


@dataclass
class Traffic:
    """A waveform in the making, the frames a receiver must deliver, and the CAN FD frames it must skip."""

    timing: BitTiming
    clock_error: float = 0.0
    expected: list[BusFrame] = field(default_factory=list)
    fd_frames: int = 0

    def __post_init__(self) -> None:
        self.wave = Waveform(cycles_per_bit=self.timing.cycles_per_bit, clock_error=self.clock_error)
        self.wave.send(idle(RECOVERY_BITS))

    def frame(self, frame: BusFrame, **options) -> None:
        """A good frame and its intermission."""
        self.wave.send(frame_bits(frame, **options)).send(idle())
        self.expected.append(frame.received)

    def raw(self, bits: list[int]) -> None:
        """Any bits, then recovery; what the reference receiver makes of them is expected."""
        bits = [*bits, *idle(RECOVERY_BITS)]
        self.wave.send(bits)
        self.expected += receive(bits)

    def noise(self, rng: np.random.Generator, *, pieces: int) -> None:
        """Levels of random lengths, most of them no whole bits, then recovery. Nothing is expected of it."""
        longest = 3 * self.timing.cycles_per_bit
        for level in rng.integers(2, size=pieces):
            self.wave.hold(int(level), float(rng.integers(1, longest)))
        self.wave.send(idle(RECOVERY_BITS))

    def fd_frame(self, rng: np.random.Generator) -> None:
        """A CAN FD frame, whose data phase is up to four times as fast."""
        extended = bool(rng.integers(2))
        send_fd_frame(
            self.wave,
            identifier=int(rng.integers(1 << (29 if extended else 11))),
            extended=extended,
            data=rng.bytes(int(rng.choice(FD_SIZES))),
            data_rate=int(rng.choice([1, 2, 4])),
        )
        self.wave.send(idle())
        self.fd_frames += 1


def _good(traffic: Traffic, rng: np.random.Generator) -> None:
    frame = random_frame(rng)
    reserved = int(frame.extended and rng.random() < 0.3)
    traffic.frame(frame, acknowledged=rng.random() < 0.9, reserved=reserved)


def _truncated(traffic: Traffic, rng: np.random.Generator) -> None:
    bits = frame_bits(random_frame(rng))
    traffic.raw(bits[: rng.integers(1, len(bits))])


def _flipped(traffic: Traffic, rng: np.random.Generator) -> None:
    bits = frame_bits(random_frame(rng))
    bits[rng.integers(len(bits))] ^= 1
    traffic.raw(bits)


def _wrong_crc(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic.raw(frame_bits(random_frame(rng), crc_error=int(rng.integers(1, 1 << 15))))


def _destroyed(traffic: Traffic, rng: np.random.Generator) -> None:
    """An error flag in the middle: active, or passive, which is recessive and invisible as such."""
    bits = frame_bits(random_frame(rng))
    kept = bits[: rng.integers(1, len(bits))]
    flag = error_frame(flag_bits=int(rng.integers(6, 13))) if rng.random() < 0.7 else idle(6 + 8 + 3)
    traffic.raw([*kept, *flag])


def _overloaded(traffic: Traffic, rng: np.random.Generator) -> None:
    """A good frame, whose end or intermission is cut by one or two overload frames."""
    bits = frame_bits(random_frame(rng))
    after = int(
        rng.integers(-1, 2)
    )  # the last bit of the end of frame, first or second bit of the intermission
    bits = bits[:after] if after < 0 else bits + idle(after)
    for _ in range(rng.integers(1, 3)):
        bits = [*bits, *overload_frame(flag_bits=int(rng.integers(6, 13)))]
    traffic.raw(bits)


def _stuck(traffic: Traffic, rng: np.random.Generator) -> None:
    """A node that holds the bus down, as one does on its way to bus-off."""
    traffic.raw([DOMINANT] * int(rng.integers(7, 300)))


def _noisy(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic.noise(rng, pieces=int(rng.integers(1, 60)))


def _fd(traffic: Traffic, rng: np.random.Generator) -> None:
    traffic.fd_frame(rng)


_KINDS: dict[Callable[[Traffic, np.random.Generator], None], float] = {
    _good: 0.5,
    _truncated: 0.07,
    _flipped: 0.1,
    _wrong_crc: 0.03,
    _destroyed: 0.07,
    _overloaded: 0.06,
    _stuck: 0.02,
    _noisy: 0.1,
    _fd: 0.05,
}


def mixed_traffic(
    rng: np.random.Generator, timing: BitTiming, *, events: int, clock_error: float = 0.0
) -> Traffic:
    """Good frames among everything that can go wrong on a bus, at random."""
    traffic = Traffic(timing, clock_error=clock_error)
    kinds = list(_KINDS)
    for kind in rng.choice(len(kinds), size=events, p=list(_KINDS.values())):
        kinds[kind](traffic, rng)
    traffic.wave.send(idle(RECOVERY_BITS))
    return traffic


@dataclass(frozen=True, kw_only=True)
class CampaignResult:
    """What `run_campaign` counted; a `mismatch` is a chunk of traffic whose frames came out otherwise."""

    sent: int
    heard: int
    mismatches: int
    cycles: int


def run_campaign(*, line: CanLine, events: int, seed: int = 0, chunk: int = 2_000) -> CampaignResult:
    """Play `events` events of mixed traffic with clocks up to 1 % off, and a short glitch for each event.

    A glitch next to an edge moves it by its own length, so glitches are kept to 2 % of a bit: the frames
    must all come through. Where that is less than a clock cycle there are none.
    """
    longest_glitch = line.timing.cycles_per_bit // 50
    rng = np.random.default_rng(seed)
    sent = heard = mismatches = 0
    for start in range(0, events, chunk):
        clock_error = float(rng.uniform(-0.01, 0.01))
        traffic = mixed_traffic(rng, line.timing, events=min(chunk, events - start), clock_error=clock_error)
        samples = traffic.wave.samples()
        if longest_glitch:
            samples = with_glitches(samples, rng=rng, count=chunk, longest=longest_glitch)
        got = line.play(samples)
        sent += len(traffic.expected)
        heard += len(got.accepted)
        mismatches += got.accepted != traffic.expected
    return CampaignResult(sent=sent, heard=heard, mismatches=mismatches, cycles=line.cycles)
