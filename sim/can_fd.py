"""CAN FD frames as bits in time, from ISO 11898-1:2015: what a classical node has to sit out."""

from __future__ import annotations

from collections.abc import Sequence

from sim.can_bus import DOMINANT, RECESSIVE, Waveform, stuff

__all__ = ["FD_SIZES", "send_fd_frame"]

#: Bytes of a CAN FD frame by its DLC.
FD_SIZES = (*range(9), 12, 16, 20, 24, 32, 48, 64)
_CRC_17 = 0x1685B
_CRC_21 = 0x102899


def send_fd_frame(
    wave: Waveform, *, identifier: int, data: bytes, extended: bool = False, data_rate: int = 1
) -> None:
    """Append a CAN FD frame, whose data phase runs `data_rate` times as fast, without the intermission."""
    if len(data) not in FD_SIZES:
        raise ValueError(f"a CAN FD frame carries one of {FD_SIZES} bytes, not {len(data)!r}")
    switches = int(data_rate > 1)
    slow = [DOMINANT, *_header(identifier, extended=extended), RECESSIVE, DOMINANT, switches]
    fast = [DOMINANT, *_number(FD_SIZES.index(len(data)), 4)]  # ESI, DLC
    for byte in data:
        fast += _number(byte, 8)
    # No dynamic stuff bit after the last data bit: what follows has fixed ones, the first at once.
    stuffed = [*stuff([*slow, *fast[:-1]]), fast[-1]]
    switch = len(stuff(slow))
    count = _stuff_count(len(stuffed) - len(slow) - len(fast))
    bits, polynomial = (17, _CRC_17) if len(data) <= 16 else (21, _CRC_21)
    checksum = _number(_crc([*stuffed, *count], bits=bits, polynomial=polynomial), bits)
    tail = _fixed_stuff([*count, *checksum], before=stuffed[-1])
    wave.send(stuffed[:switch])
    wave.send([*stuffed[switch:], *tail], bit_length=1 / data_rate)
    wave.send([RECESSIVE, DOMINANT, RECESSIVE, *[RECESSIVE] * 7])


def _number(value: int, bits: int) -> list[int]:
    return [value >> place & 1 for place in reversed(range(bits))]


def _header(identifier: int, *, extended: bool) -> list[int]:
    """Identifier, RRS and IDE; in the extended format SRR, IDE, the rest of the identifier, and RRS."""
    if not extended:
        return [*_number(identifier, 11), DOMINANT, DOMINANT]
    bits = _number(identifier, 29)
    return [*bits[:11], RECESSIVE, RECESSIVE, *bits[11:], DOMINANT]


def _stuff_count(stuff_bits: int) -> list[int]:
    """The number of dynamic stuff bits modulo 8 in Gray code, and its parity."""
    count = stuff_bits % 8
    gray = _number(count ^ count >> 1, 3)
    return [*gray, sum(gray) % 2]


def _crc(sent: Sequence[int], *, bits: int, polynomial: int) -> int:
    """CAN FD starts from a one, then zeros, and checks the stuff bits too."""
    state = 1 << (bits - 1)
    for bit in sent:
        feedback = bit ^ state >> (bits - 1)
        state = state << 1 & (1 << bits) - 1
        if feedback:
            state ^= polynomial & (1 << bits) - 1
    return state


def _fixed_stuff(bits: Sequence[int], *, before: int) -> list[int]:
    """A bit opposite to the one before it, ahead of every four."""
    sent: list[int] = []
    for place, bit in enumerate(bits):
        if place % 4 == 0:
            sent.append(1 - (sent[-1] if sent else before))
        sent.append(bit)
    return sent
