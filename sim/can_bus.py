"""What happens on a CAN bus, written from ISO 11898-1 alone: frames as bits, bits as levels in time.

This is the other side of `hw.can` and shares nothing with it: what the gateware receives was encoded here,
and `receive` is a second node: what the standard says a receiver accepts of a sequence of sampled bits.
A bit is 0 for dominant, 1 for recessive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

__all__ = [
    "DOMINANT",
    "RECESSIVE",
    "BusFrame",
    "Waveform",
    "error_frame",
    "frame_bits",
    "idle",
    "overload_frame",
    "random_frame",
    "receive",
    "with_glitches",
]

DOMINANT, RECESSIVE = 0, 1
END_OF_FRAME_BITS = 7
INTERMISSION_BITS = 3


@dataclass(frozen=True, kw_only=True)
class BusFrame:
    """A classical data or remote frame. `dlc` above 8 sends 8 bytes; a remote frame sends none."""

    identifier: int
    extended: bool = False
    remote: bool = False
    dlc: int = 0
    data: bytes = b""

    def __post_init__(self) -> None:
        if not 0 <= self.identifier < 1 << (29 if self.extended else 11):
            raise ValueError(f"identifier {self.identifier!r} does not fit in a frame of this format")
        if not 0 <= self.dlc <= 15:
            raise ValueError(f"dlc must be 0 to 15, not {self.dlc!r}")
        expected = 0 if self.remote else min(self.dlc, 8)
        if len(self.data) != expected:
            raise ValueError(f"a frame with this dlc carries {expected} bytes, not {len(self.data)!r}")

    @property
    def received(self) -> BusFrame:
        """The frame as a receiver reports it: a dlc above 8 means 8."""
        return replace(self, dlc=min(self.dlc, 8))


def _number(value: int, bits: int) -> list[int]:
    return [value >> place & 1 for place in reversed(range(bits))]


def _header_and_data(frame: BusFrame) -> list[int]:
    """From the start of frame to the last data bit, not stuffed."""
    bits = [DOMINANT]
    remote = int(frame.remote)
    if frame.extended:
        identifier = _number(frame.identifier, 29)
        # Base identifier, SRR and IDE recessive, the rest of the identifier, RTR, and r1, r0 dominant.
        bits += [*identifier[:11], RECESSIVE, RECESSIVE, *identifier[11:], remote, DOMINANT, DOMINANT]
    else:
        bits += [*_number(frame.identifier, 11), remote, DOMINANT, DOMINANT]
    bits += _number(frame.dlc, 4)
    for byte in frame.data:
        bits += _number(byte, 8)
    return bits


def crc_bits(bits: Sequence[int]) -> list[int]:
    """The CRC sequence by the long division of the standard: the remainder of bits * x^15."""
    generator = [1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1]
    rest = [*bits, *[0] * 15]
    for place in range(len(bits)):
        if rest[place]:
            for offset, term in enumerate(generator):
                rest[place + offset] ^= term
    return rest[-15:]


def stuff(bits: Sequence[int]) -> list[int]:
    """A bit of opposite value after every five equal ones, stuffed bits counted too."""
    sent: list[int] = []
    run = 0
    for bit in bits:
        run = run + 1 if sent and bit == sent[-1] else 1
        sent.append(bit)
        if run == 5:
            sent.append(1 - bit)
            run = 1
    return sent


def frame_bits(
    frame: BusFrame, *, acknowledged: bool = True, crc_error: int = 0, reserved: int = DOMINANT
) -> list[int]:
    """All bits of a frame, end of frame included, without the intermission.

    `crc_error` is a mask over the 15 CRC bits; `reserved` is the level of r0, which receivers must take both
    ways in an extended frame.
    """
    body = _header_and_data(frame)
    if reserved != DOMINANT:
        if not frame.extended:
            raise ValueError("a recessive reserved bit in a base frame makes it a CAN FD frame")
        body[34] = reserved
    checked = [bit ^ flip for bit, flip in zip(crc_bits(body), _number(crc_error, 15), strict=True)]
    acknowledge = DOMINANT if acknowledged else RECESSIVE
    tail = [RECESSIVE, acknowledge, RECESSIVE, *[RECESSIVE] * END_OF_FRAME_BITS]
    return stuff([*body, *checked]) + tail


def idle(bits: int = INTERMISSION_BITS) -> list[int]:
    """Recessive bits: three are the intermission."""
    return [RECESSIVE] * bits


def error_frame(*, flag_bits: int = 6) -> list[int]:
    """An active error flag, up to 12 bits when several nodes' flags add up, delimiter and intermission."""
    if not 6 <= flag_bits <= 12:
        raise ValueError(f"superposed error flags are 6 to 12 bits long, not {flag_bits!r}")
    return [DOMINANT] * flag_bits + [RECESSIVE] * 8 + idle()


#: An overload flag and delimiter look the same; it begins in the intermission.
overload_frame = error_frame


def random_frame(rng: np.random.Generator) -> BusFrame:
    """Any classical frame, short and extreme ones more often than by chance."""
    extended, remote = bool(rng.random() < 0.3), bool(rng.random() < 0.2)
    dlc = int(rng.integers(16))
    limit = 1 << (29 if extended else 11)
    identifier = int(rng.choice([0, limit - 1, int(rng.integers(limit))], p=[0.1, 0.1, 0.8]))
    size = 0 if remote else min(dlc, 8)
    fill = rng.random()
    data = bytes(size) if fill < 0.15 else b"\xff" * size if fill < 0.3 else rng.bytes(size)
    return BusFrame(identifier=identifier, extended=extended, remote=remote, dlc=dlc, data=data)


def receive(bits: Sequence[int]) -> Iterator[BusFrame]:
    """The frames that a receiver accepts out of sampled bits, starting on a bus that it takes for idle."""
    place = 0
    while place < len(bits):
        if bits[place] == RECESSIVE:
            place += 1
            continue
        try:
            frame, place = _receive_one(bits, place)
        except _Refused as refused:
            place = _after_recessive(bits, refused.place, count=10)
            continue
        except IndexError:
            return
        yield frame
        # The last bit of the end of frame and two of the intermission: dominant there is an overload flag.
        if DOMINANT in bits[place : place + 3]:
            place = _after_recessive(bits, place + bits[place : place + 3].index(DOMINANT), count=10)
        else:
            place += 3


class _Refused(Exception):
    """An error that makes receivers discard the frame."""

    def __init__(self, place: int):
        super().__init__()
        self.place = place


def _after_recessive(bits: Sequence[int], place: int, *, count: int) -> int:
    """Eleven recessive bits integrate a node; the last may already be a start of frame, so wait for ten."""
    run = 0
    while place < len(bits) and run < count:
        run = run + 1 if bits[place] == RECESSIVE else 0
        place += 1
    return place


def _receive_one(bits: Sequence[int], start: int) -> tuple[BusFrame, int]:
    """The frame whose first bit is at `start`, and the place of the last bit of its end of frame."""
    reader = _Unstuffing(bits, start)
    header = reader.take(14)
    identifier, remote, extended = _value(header[1:12]), header[12], header[13]
    if extended:
        identifier = identifier << 18 | _value(reader.take(18))
        remote = reader.take(1)[0]
    if reader.take(1)[0] == RECESSIVE:  # FDF
        raise _Refused(reader.place)
    if extended:
        reader.take(1)
    dlc = _value(reader.take(4))
    size = 0 if remote else min(dlc, 8)
    payload = reader.take(8 * size)
    checked = list(reader.taken)
    if reader.take(15) != crc_bits(checked):
        raise _Refused(reader.place)
    place = reader.after_stuff_bit()
    # CRC delimiter, acknowledgement, its delimiter, and six of the seven bits of the end of frame.
    for offset in (0, 2, 3, 4, 5, 6, 7, 8):
        if bits[place + offset] == DOMINANT:
            raise _Refused(place + offset)
    data = bytes(_value(payload[8 * byte : 8 * byte + 8]) for byte in range(size))
    frame = BusFrame(
        identifier=identifier, extended=bool(extended), remote=bool(remote), dlc=min(dlc, 8), data=data
    )
    return frame, place + 9


def _value(bits: Sequence[int]) -> int:
    return int("".join(map(str, bits)) or "0", 2)


class _Unstuffing:
    """Reads on from a place, leaving out stuff bits."""

    def __init__(self, bits: Sequence[int], place: int):
        self.place = place
        self.taken: list[int] = []
        self._bits = bits
        self._raw: list[int] = []

    def take(self, count: int) -> list[int]:
        for _ in range(count):
            self.after_stuff_bit()
            self._next()
            self.taken.append(self._raw[-1])
        return self.taken[len(self.taken) - count :]

    def after_stuff_bit(self) -> int:
        """Skip a stuff bit if one is due here; the place of the next bit."""
        if len(self._raw) >= 5 and len(set(self._raw[-5:])) == 1:
            due = 1 - self._raw[-1]
            self._next()
            if self._raw[-1] != due:
                raise _Refused(self.place - 1)
        return self.place

    def _next(self) -> None:
        self._raw.append(self._bits[self.place])
        self.place += 1


class Waveform:
    """A growing sequence of levels, each held for a number of clock cycles of the receiver.

    `clock_error` is how much longer the sender's bits are than the receiver's, as a fraction. Times are
    summed as real numbers and rounded at each edge, so the error neither grows nor vanishes.
    """

    def __init__(self, *, cycles_per_bit: float, clock_error: float = 0.0):
        self.cycles_per_bit = cycles_per_bit
        self.clock_error = clock_error
        self._levels: list[int] = []
        self._ends: list[float] = []
        self._now = 0.0

    def send(self, bits: Iterable[int], *, bit_length: float = 1.0) -> Waveform:
        """Append `bits`, each `bit_length` nominal bits long."""
        step = self.cycles_per_bit * (1 + self.clock_error) * bit_length
        for bit in bits:
            self._now += step
            self._levels.append(bit)
            self._ends.append(self._now)
        return self

    def hold(self, level: int, cycles: float) -> Waveform:
        """Append one level for any time."""
        self._now += cycles
        self._levels.append(level)
        self._ends.append(self._now)
        return self

    @property
    def cycles(self) -> int:
        """Where the next bit will begin."""
        return round(self._now)

    def runs(self) -> np.ndarray:
        """(level, cycles) pairs, as the pin player of the simulated board takes them."""
        ends = np.round(np.array(self._ends)).astype(np.int64)
        cycles = np.diff(ends, prepend=0)
        held = cycles > 0
        return np.stack([np.array(self._levels, np.int64)[held], cycles[held]], axis=1)

    def samples(self) -> np.ndarray:
        """The level in each clock cycle."""
        levels, cycles = self.runs().T
        return np.repeat(levels.astype(np.uint8), cycles)


def with_glitches(samples: np.ndarray, *, rng: np.random.Generator, count: int, longest: int) -> np.ndarray:
    """The samples with `count` inverted pulses of 1 to `longest` cycles, each in an equal share of the time.

    Pulses keep `longest` cycles apart, so that no two add up to a longer one.
    """
    spoilt = samples.copy()
    share = len(samples) // count
    if share <= 3 * longest:
        raise ValueError(
            f"{count!r} glitches of up to {longest!r} cycles do not fit in {len(samples)!r} cycles"
        )
    for number in range(count):
        start = number * share + rng.integers(share - 2 * longest)
        spoilt[start : start + rng.integers(1, longest + 1)] ^= 1
    return spoilt
