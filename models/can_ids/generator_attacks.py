"""Attacks put into benign traffic, the user's own or generated, in bursts and labelled frame by frame.

Benign frames keep their order and time stamps, but for those that a suspended sender no longer sends. The
share of attack frames in a burst was measured on real captures (DoS, fuzzing) or is assumed (the others).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.can_ids.frames import Attack, Frames

__all__ = ["ATTACKS", "inject"]

#: What a user may ask for, and how its frames are labelled.
ATTACKS = {
    "dos": Attack.DOS,
    "dos_priority": Attack.DOS,
    "fuzzing": Attack.FUZZING,
    "spoofing": Attack.SPOOFING,
    "spoofing_gear": Attack.SPOOFING_GEAR,
    "spoofing_speed": Attack.SPOOFING,
    "replay": Attack.REPLAY,
    "suspension": Attack.SUSPENSION,
    "masquerade": Attack.MASQUERADE,
}
#: Attack frames in a burst as a share of all frames, measured on real slices of Car-Hacking.
SHARES = {"dos": 0.54, "dos_priority": 0.54, "fuzzing": 0.38}
OTHER_SHARE = 0.35
BURST_S, GAP_S = (3.0, 5.0), (3.0, 8.0)
#: With no usable clock, this many benign frames count as a second: a middling bus.
FRAMES_PER_SECOND = 1500


def inject(
    benign: Frames,
    kinds: Sequence[str],
    *,
    seed: int = 0,
    shares: Mapping[str, float] | None = None,
    targets: Mapping[str, int] | None = None,
    payloads: Mapping[str, bytes] | None = None,
) -> Frames:
    """The capture with attacks of these kinds in it, taking turns burst by burst.

    `targets` names the identifier that a kind forges or silences, `payloads` what a kind of spoofing sends;
    both are drawn otherwise, from what the capture shows. A suspension takes frames away; the first frame
    after each missing one carries the label. When the capture is short, bursts and gaps shrink so that every
    kind has its turn.
    """
    _check(benign, kinds, shares or {}, targets or {})
    draw = np.random.default_rng([0xA77AC4, seed])
    trusted = _has_clock(benign.timestamp)
    clock = np.maximum.accumulate(benign.timestamp) if trusted else np.arange(len(benign)) / FRAMES_PER_SECOND
    rate = len(benign) / max(clock[-1] - clock[0], 1e-9)
    scene = _Scene(benign, draw, dict(targets or {}), dict(payloads or {}))
    for kind, start, end in _bursts(draw, kinds, float(clock[0]), float(clock[-1])):
        share = (shares or {}).get(kind, SHARES.get(kind, OTHER_SHARE))
        rows = np.arange(*np.searchsorted(clock, [start, end]))
        local = len(rows) / (end - start) if len(rows) else rate
        scene.burst(kind, rows, _times(draw, start, end, local * share / (1 - share)))
    return scene.merged(clock, trusted)


def _check(
    benign: Frames, kinds: Sequence[str], shares: Mapping[str, float], targets: Mapping[str, int]
) -> None:
    unknown = [kind for kind in kinds if kind not in ATTACKS]
    if unknown or not kinds:
        raise ValueError(f"attacks must be some of {', '.join(ATTACKS)}, not {unknown or list(kinds)!r}")
    if len(benign) < 100:
        raise ValueError(f"attacks need traffic to hide in: at least 100 benign frames, not {len(benign)}")
    for kind, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(f"the share of {kind!r} must lie between 0 and 1, not {share!r}")
    absent = {
        kind: hex(target) for kind, target in targets.items() if not (benign.identifier == target).any()
    }
    if absent:
        raise ValueError(f"these targets send nothing in the capture: {absent!r}; name identifiers that do")


def _has_clock(times: np.ndarray) -> bool:
    """Whether the time stamps tell frames apart; whole seconds do not."""
    if not np.isfinite(times).all():
        return False
    return bool(times[-1] > times[0]) and len(np.unique(times)) > len(times) / 2


def _bursts(
    draw: np.random.Generator, kinds: Sequence[str], start: float, end: float
) -> list[tuple[str, float, float]]:
    longest = len(kinds) * (BURST_S[1] + GAP_S[1])
    scale = min(1.0, (end - start) / longest)
    bursts: list[tuple[str, float, float]] = []
    now = start + scale * draw.uniform(0.5, GAP_S[0])
    while True:
        for place in draw.permutation(len(kinds)):
            length = scale * draw.uniform(*BURST_S)
            if now + length > end:
                return bursts
            bursts.append((kinds[place], now, now + length))
            now += length + scale * draw.uniform(*GAP_S)


def _times(draw: np.random.Generator, start: float, end: float, rate: float) -> np.ndarray:
    """When the attacker sends: a loop with a sleep in it, which a busy computer keeps badly."""
    count = max(1, int((end - start) * rate))
    steps = draw.gamma(8.0, 1 / 8.0, count)
    return start + (end - start) * np.cumsum(steps) / (steps.sum() + 1)


@dataclass
class _Scene:
    """The benign capture, and what happens to it."""

    benign: Frames
    draw: np.random.Generator
    targets: dict[str, int]
    payloads: dict[str, bytes]
    added: list[Frames] = field(default_factory=list)
    missing: list[np.ndarray] = field(default_factory=list)  #: rows that are not sent
    forged: list[tuple[np.ndarray, np.ndarray]] = field(
        default_factory=list
    )  #: rows, and what they carry instead

    def burst(self, kind: str, rows: np.ndarray, times: np.ndarray) -> None:
        if kind in ("suspension", "masquerade"):
            own = rows[self.benign.identifier[rows] == self._target(kind)]
            if kind == "suspension":
                self.missing.append(own)
            elif len(own):
                self.forged.append((own, self._forge(kind)))
            return
        make: Callable[[int, str, int], Frames] = {
            "dos": self._flood,
            "dos_priority": self._flood,
            "fuzzing": self._fuzz,
            "replay": self._replay,
        }.get(kind, self._spoof)
        frames = make(len(times), kind, int(rows[0]) if len(rows) else 0)
        frames.timestamp[:] = times[: len(frames)]
        frames.attack[:] = ATTACKS[kind]
        self.added.append(frames)

    def _target(self, kind: str) -> int:
        """One victim a kind, drawn from the busier half of the identifiers."""
        if kind not in self.targets:
            identifiers, counts = np.unique(self.benign.identifier, return_counts=True)
            busy = identifiers[np.argsort(-counts, kind="stable")][: max(1, len(identifiers) // 2)]
            free = [one for one in busy.tolist() if one not in self.targets.values()] or busy.tolist()
            self.targets[kind] = int(self.draw.choice(free))
        return self.targets[kind]

    def _forge(self, kind: str) -> np.ndarray:
        """A payload as the target sends it, but with values that it does not have."""
        if kind in self.payloads:
            given = self.payloads[kind]
            return np.frombuffer(given.ljust(8, b"\0"), np.uint8)
        own = np.flatnonzero(self.benign.identifier == self._target(kind))
        own = own[self.benign.dlc[own] == self.benign.dlc[own].max()]
        seen = self.benign.data[own]
        forged = seen[self.draw.integers(len(seen))].copy()
        octets = int(self.benign.dlc[own[0]])
        moving = np.flatnonzero(seen[:, :octets].min(axis=0) != seen[:, :octets].max(axis=0))
        if len(moving) == 0:
            moving = np.arange(octets)
        for place in self.draw.permutation(moving)[: max(1, (len(moving) + 1) // 2)]:
            unseen = np.setdiff1d(np.arange(256), seen[:, place])
            forged[place] = self.draw.choice(unseen) if len(unseen) else self.draw.integers(256)
        return forged

    def _spoof(self, count: int, kind: str, _row: int) -> Frames:
        model = np.flatnonzero(self.benign.identifier == self._target(kind))[0]
        frames = self.benign[np.full(count, model)]
        payload = self._forge(kind)
        frames.data[:] = payload
        frames.dlc[:] = len(self.payloads[kind]) if kind in self.payloads else frames.dlc
        return frames

    def _flood(self, count: int, kind: str, _row: int) -> Frames:
        frames = Frames.zeros(count)
        frames.dlc[:] = 8
        frames.extended[:] = kind == "dos_priority" and bool(self.benign.extended.all())
        if kind == "dos_priority":
            frames.identifier[:] = self.draw.integers(0, max(1, int(self.benign.identifier.min())))
            frames.data[:] = self.draw.integers(256, size=8)
        return frames

    def _fuzz(self, count: int, _kind: str, _row: int) -> Frames:
        frames = Frames.zeros(count)
        frames.dlc[:] = 8
        frames.extended[:] = bool(self.benign.extended.all())
        frames.identifier[:] = self.draw.integers(1 << (29 if frames.extended[0] else 11), size=count)
        frames.data[:] = self.draw.integers(256, size=(count, 8))
        return frames

    def _replay(self, count: int, _kind: str, row: int) -> Frames:
        """What was recorded earlier, or later where the burst comes before anything could be recorded."""
        latest = row - count
        start = (
            int(self.draw.integers(latest + 1))
            if latest >= 0
            else len(self.benign) - min(count, len(self.benign))
        )
        return self.benign[np.arange(start, start + min(count, len(self.benign)))]

    def merged(self, clock: np.ndarray, trusted: bool) -> Frames:
        benign = self.benign
        attack, data = benign.attack.copy(), benign.data.copy()
        for rows, payload in self.forged:
            data[rows], attack[rows] = payload, Attack.MASQUERADE
        sent = np.ones(len(benign), bool)
        for rows in self.missing:
            sent[rows] = False
        heard = np.flatnonzero(sent)
        for rows in self.missing:
            after = np.searchsorted(heard, rows)
            attack[heard[after[after < len(heard)]]] = Attack.SUSPENSION
        base = Frames(
            benign.timestamp, benign.identifier, benign.extended, benign.remote, benign.dlc, data, attack
        )[heard]
        added = Frames.concatenate(self.added)
        order = np.argsort(np.concatenate([clock[heard], added.timestamp]), kind="stable")
        if trusted:
            added.timestamp[:] = np.round(added.timestamp, 6)
        else:  # those of the frame before
            before = np.searchsorted(clock, added.timestamp, side="right") - 1
            added.timestamp[:] = self.benign.timestamp[np.maximum(before, 0)]
        return Frames.concatenate([base, added])[order]
