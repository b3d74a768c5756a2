"""Traffic without a capture: vehicles at drive, with attacks, labelled frame by frame and made from a seed.

All columns are computed at once with numpy; only arbitration goes frame by frame. The same arguments give the
same frames on every run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.can_ids.frames import Frames
from models.can_ids.generator_attacks import inject
from models.can_ids.generator_bus import arbitrate
from models.can_ids.generator_vehicle import Message, Signal, Vehicle, vehicle

__all__ = ["forged_payloads", "generate"]


def generate(
    *, vehicle_number: int = 1, seconds: float = 60.0, seed: int = 0, attacks: Sequence[str] = ()
) -> Frames:
    """The frames on the bus of a vehicle, attacked in bursts if `attacks` names any (see `inject`).

    Its spoofer sends the same frame on every drive, as those of the public captures do.
    """
    if not 0 < seconds <= 86_400:
        raise ValueError(f"seconds must lie between 0 and a day (86400), not {seconds!r}")
    car = vehicle(vehicle_number)
    drive = _Drive(np.random.default_rng([seed, vehicle_number]), seconds)
    parts = [_send(message, drive, seed, seconds, car.body.extended) for message in car.messages]
    frames = Frames.concatenate(parts)
    frames = frames[np.argsort(frames.timestamp, kind="stable")]
    if attacks:
        frames = inject(frames, attacks, seed=seed, targets=car.targets, payloads=forged_payloads(car))
    return arbitrate(frames, bit_rate=car.body.bit_rate)


def forged_payloads(car: Vehicle) -> dict[str, bytes]:
    """What a spoofer sends: the needle at its stop, where no drive takes it, all else at rest."""
    return {attack: _forged(car, identifier) for attack, identifier in car.targets.items()}


def _forged(car: Vehicle, identifier: int) -> bytes:
    (message,) = (each for each in car.messages if each.identifier == identifier)
    data = np.zeros((1, message.dlc), np.uint8)
    needle, *others = message.signals
    data[:, needle.at : needle.at + needle.width] = 0xFF
    for signal in others:
        if signal.kind == "constant":
            data[:, signal.at : signal.at + signal.width] = signal.choices[: signal.width]
    if message.checksum:
        data[:, -1] = _checksum(message, data[:, :-1])
    return data.tobytes()


class _Drive:
    """What the driver does: the physical quantities behind the signals, each between 0 and 1."""

    def __init__(self, draw: np.random.Generator, seconds: float) -> None:
        self._times = np.arange(0.0, seconds + 2, 0.5)
        count = len(self._times)
        accelerator = _folded(np.cumsum(draw.normal(0, 0.25, count)) + 0.3)
        smooth = np.exp(-np.arange(16) / 5)
        speed = np.convolve(accelerator, smooth / smooth.sum())[:count]
        gear = np.floor(speed * 5.99)
        self._quantities = {
            "speed": speed,
            "gear": gear / 8,
            "rpm": 0.12 + 0.8 * (0.35 * accelerator + 0.65 * (speed * 6 - gear)),
            "steering": _folded(np.cumsum(draw.normal(0, 0.08, count)) + 0.5),
            "temperature": 0.3 + 0.5 * (1 - np.exp(-self._times / 300)),
        }

    def __call__(self, quantity: str, times: np.ndarray) -> np.ndarray:
        if quantity == "gear":  # it jumps
            return self._quantities["gear"][np.searchsorted(self._times, times, side="right") - 1]
        return np.interp(times, self._times, self._quantities[quantity])


def _folded(walk: np.ndarray) -> np.ndarray:
    """A walk that turns round at 0 and at 1."""
    return np.abs((walk + 1) % 2 - 1)


def _send(message: Message, drive: _Drive, seed: int, seconds: float, extended: bool) -> Frames:
    draw = np.random.default_rng([seed, message.identifier])
    period = message.period_ms / 1000
    count = max(1, int(seconds / period))
    jitter = np.clip(draw.normal(0, message.jitter, count), -0.4, 0.4)
    clock = 1 + draw.normal(0, 3e-5)  # crystals differ
    times = (np.arange(count) + draw.random() + jitter) * period * clock
    frames = Frames.zeros(count)
    frames.timestamp[:] = np.maximum(times, 0)
    frames.identifier[:] = message.identifier
    frames.extended[:] = extended
    frames.dlc[:] = message.dlc
    for signal in message.signals:
        frames.data[:, signal.at : signal.at + signal.width] = _render(signal, frames.timestamp, drive, draw)
    if message.checksum:
        frames.data[:, message.dlc - 1] = _checksum(message, frames.data[:, : message.dlc - 1])
    return frames


def _render(signal: Signal, times: np.ndarray, drive: _Drive, draw: np.random.Generator) -> np.ndarray:
    """The bytes of a signal at those times, one row each."""
    count, choices = len(times), np.array(signal.choices, np.uint8)
    full = 256**signal.width - 1
    step = (times / signal.period_s).astype(np.int64)
    if signal.kind == "constant":
        return np.broadcast_to(choices[: signal.width], (count, signal.width))
    if signal.kind == "counter":
        turn = np.arange(count) % int(signal.scale)
        return (turn if signal.scale == 256 else turn | signal.offset)[:, None]
    if signal.kind == "flags":
        rare = draw.random((step[-1] + 1, 8)) < 0.06
        return np.packbits(np.cumsum(rare, axis=0)[step] % 2 == 1, axis=1)
    if signal.kind == "multiplexed":
        turn = np.arange(count) % 4
        return np.stack([turn, choices[turn], choices[4 + turn] + step % 4], axis=1)
    if signal.kind == "quantity":
        level = drive(signal.quantity, times)
    elif signal.kind == "walk":
        knots = _folded(np.cumsum(draw.normal(0, 0.05, step[-1] + 2)) + signal.scale)
        level = np.interp(times / signal.period_s, np.arange(len(knots)), knots)
    else:
        level = 0.5 + 0.45 * np.sin(2 * np.pi * times / signal.period_s) + draw.normal(0, 0.01, count)
    value = np.clip(level * signal.scale * full + signal.offset, 0, full).astype(np.uint32)
    places = 8 * np.arange(signal.width - 1, -1, -1, dtype=np.uint32)
    return value[:, None] >> places & 0xFF


def _checksum(message: Message, data: np.ndarray) -> np.ndarray:
    """Over the bytes before it; the kinds that use the identifier, as cars do, start from its low byte."""
    low = np.uint8(message.identifier & 0xFF)
    if message.checksum == "xor":
        return np.bitwise_xor.reduce(data, axis=1) ^ low
    if message.checksum == "sum":
        return data.sum(axis=1, dtype=np.uint8) + low
    remainder = np.full(len(data), 0xFF, np.uint8)  # SAE J1850
    for column in data.T:
        remainder = remainder ^ column
        for _ in range(8):
            remainder = (remainder << 1) ^ (remainder >> 7) * np.uint8(0x1D)
    return remainder ^ 0xFF
