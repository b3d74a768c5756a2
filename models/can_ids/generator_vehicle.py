"""Imaginary vehicles: which messages each sends how often, and what every byte of them means.

A vehicle is drawn from its number alone, so number 2 sends the same messages on every machine and every day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

__all__ = ["VEHICLES", "Body", "Message", "Signal", "Vehicle", "vehicle"]

QUANTITIES = ("speed", "rpm", "steering", "temperature", "gear")
CHECKSUMS = ("xor", "sum", "crc8")


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Some bytes of a payload."""

    kind: str  #: constant, quantity, walk, sine, flags, counter, multiplexed
    at: int  #: first byte
    width: int  #: bytes
    quantity: str = ""  #: which of the drive's quantities it reports
    scale: float = 1.0
    offset: int = 0
    period_s: float = 10.0  #: of a sine, or between the steps of a walk or of flags
    choices: tuple[int, ...] = ()  #: the bytes of a constant, or what a multiplexer shows in turn


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one identifier carries."""

    identifier: int
    period_ms: int
    dlc: int
    signals: tuple[Signal, ...]
    checksum: str = ""  #: over all other bytes, in the last one
    jitter: float = 0.01  #: standard deviation, as a share of the period


@dataclass(frozen=True, kw_only=True)
class Body:
    """What kind of vehicle it is: everything that is not drawn."""

    name: str
    bit_rate: int
    extended: bool
    messages: tuple[tuple[int, int], ...]  #: period in milliseconds, and how many messages have it


@dataclass(frozen=True, kw_only=True)
class Vehicle:
    """A set of messages on one bus."""

    number: int
    body: Body
    messages: tuple[Message, ...]
    #: Which identifier a spoofer would forge to move the needle, the gear display, the speed.
    targets: dict[str, int] = field(hash=False)


VEHICLES = {
    1: Body(
        name="saloon",
        bit_rate=500_000,
        extended=False,
        messages=((10, 12), (20, 6), (50, 3), (100, 5), (200, 3), (1000, 3)),
    ),
    2: Body(
        name="hatchback",
        bit_rate=500_000,
        extended=False,
        messages=((10, 8), (20, 12), (50, 6), (100, 8), (200, 4), (1000, 5)),
    ),
    3: Body(
        name="sports car",
        bit_rate=1_000_000,
        extended=False,
        messages=((10, 24), (20, 10), (50, 4), (100, 8), (1000, 4)),
    ),
    4: Body(
        name="lorry",
        bit_rate=250_000,
        extended=True,
        messages=((10, 2), (20, 4), (50, 4), (100, 10), (200, 4), (1000, 12)),
    ),
}
#: Every vehicle reports these, in messages of their own.
ROLES = {"spoofing": "rpm", "spoofing_gear": "gear", "spoofing_speed": "speed"}


@cache
def vehicle(number: int) -> Vehicle:
    """The vehicle of that number."""
    if number not in VEHICLES:
        known = ", ".join(f"{key} ({body.name})" for key, body in VEHICLES.items())
        raise ValueError(f"there is no vehicle {number!r}; choose one of {known}")
    body = VEHICLES[number]
    draw = np.random.default_rng([0xCA, number])
    periods = [period for period, count in body.messages for _ in range(count)]
    identifiers = _identifiers(draw, len(periods), body.extended)
    roles = dict(zip(_role_places(periods), ROLES.items(), strict=True))
    targets, messages = {}, []
    for place, (identifier, period) in enumerate(zip(identifiers, periods, strict=True)):
        attack, quantity = roles.get(place, ("", ""))
        if attack:
            targets[attack] = identifier
        messages.append(_message(draw, identifier, period, quantity))
    return Vehicle(number=number, body=body, messages=tuple(messages), targets=targets)


def _identifiers(draw: np.random.Generator, count: int, extended: bool) -> list[int]:
    """Rising, so that faster messages have priority over slower ones, as designers do."""
    if not extended:
        return np.sort(draw.choice(np.arange(0x040, 0x700), count, replace=False)).tolist()
    priority = np.sort(draw.integers(2, 8, count))  # J1939: priority, parameter group, source address
    group = draw.choice(np.arange(0xF000, 0xFF00), count, replace=False)
    source = draw.choice([0x00, 0x03, 0x0B, 0x17, 0x21, 0x31], count)
    return [int(p) << 26 | int(g) << 8 | int(s) for p, g, s in zip(priority, group, source, strict=True)]


def _role_places(periods: list[int]) -> list[int]:
    """One fast message for the engine, one of 20 ms for the gear, the next for the speed."""
    fast, middle = 1, periods.index(20)
    return [fast, middle, middle + 1]


def _message(draw: np.random.Generator, identifier: int, period: int, quantity: str) -> Message:
    dlc = int(draw.choice([8, 7, 6, 5, 4, 2], p=[0.74, 0.05, 0.06, 0.06, 0.05, 0.04])) if not quantity else 8
    checked = dlc >= 4 and draw.random() < (0.5 if period <= 20 else 0.15)
    counted = checked or draw.random() < 0.3
    signals, at = [], 0
    if quantity:
        signals.append(_signal(draw, "quantity", at, 2, quantity))
        at = 2
    end = dlc - checked
    if counted and end > at:
        end -= 1
        high = int(draw.integers(16)) << 4
        signals.append(
            Signal(kind="counter", at=end, width=1, offset=high, scale=16 if draw.random() < 0.7 else 256)
        )
    while at < end:
        signals.append(_signal(draw, *_kind(draw, at, end)))
        at += signals[-1].width
    checksum = str(draw.choice(CHECKSUMS)) if checked else ""
    return Message(
        identifier=identifier,
        period_ms=period,
        dlc=dlc,
        signals=tuple(signals),
        checksum=checksum,
        jitter=float(draw.choice([0.004, 0.01, 0.03])),
    )


def _kind(draw: np.random.Generator, at: int, end: int) -> tuple[str, int, int]:
    kinds = ("constant", "quantity", "walk", "sine", "flags", "multiplexed")
    kind = str(draw.choice(kinds, p=[0.36, 0.18, 0.14, 0.1, 0.16, 0.06]))
    widest = {"quantity": 2, "walk": 2, "constant": 3, "multiplexed": 3}.get(kind, 1)
    if kind == "multiplexed" and end - at < 3:
        return "constant", at, end - at
    width = widest if kind == "multiplexed" else int(draw.integers(1, widest + 1))
    return kind, at, min(width, end - at)


def _signal(draw: np.random.Generator, kind: str, at: int, width: int, quantity: str = "") -> Signal:
    return Signal(
        kind=kind,
        at=at,
        width=width,
        quantity=quantity or str(draw.choice(QUANTITIES)),
        scale=float(draw.uniform(0.4, 0.9)),
        offset=int(draw.integers(0, 24)),
        period_s=float(draw.uniform(2, 20)),
        choices=tuple(draw.choice([0, 0, 0, 0xFF, 0x80, *draw.integers(256, size=3).tolist()], 8).tolist()),
    )
