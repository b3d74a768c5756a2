"""Training windows: consecutive benign frames, with attack frames of the training rows laid among them.

A batch depends on seed and step alone, so that a resumed training sees what an uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from models.can_ids.features import IDENTIFIER_BITS, Encoding
from models.can_ids.frames import Attack, Frames

__all__ = ["Sampler", "Sampling"]

#: Share of attack frames in a burst, measured on the real slices; assumed for spoofing.
BURST_SHARE = {Attack.DOS: 0.54, Attack.FUZZING: 0.38}
SPOOFING_SHARE = 0.35


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What a batch is made of."""

    batch: int = 2048
    per_frame: bool = True  #: label the newest frame; else, as published, any attack frame in the window
    #: Relative frequency of windows by what is injected into them.
    mixture: Mapping[Attack, float] = field(
        default_factory=lambda: {Attack.BENIGN: 8, Attack.DOS: 1, Attack.FUZZING: 6, Attack.SPOOFING: 1}
    )
    #: Up to that many payload bits of each benign frame are flipped, because bits that were constant for six
    #: minutes of training need not stay constant.
    flipped_bits: int = 3
    #: Share of benign frames in which one payload byte takes any value, for quantities that leave the range
    #: they kept in training: an engine faster than ever before is no attack.
    replaced_bytes: float = 0.0
    #: Share of fuzzing frames that carry an identifier of the vehicle, and one a bit away from such a one: by
    #: chance 1.3 % and about 12 %, but all the difficulty of the class.
    fuzzing_known: float = 0.3
    fuzzing_near: float = 0.2
    single: float = 0.5  #: share of windows with several frames that hold exactly one injected frame


class Sampler:
    """Batches of encoded windows and their classes."""

    def __init__(self, blocks: list[tuple[Frames, float]], encoding: Encoding, sampling: Sampling) -> None:
        """`blocks` are labelled training rows, each with the weight that its windows get."""
        self.encoding, self.sampling = encoding, sampling
        self._attacks = self._attack_frames([frames for frames, _ in blocks])
        benign = [frames[frames.attack == Attack.BENIGN] for frames, _ in blocks]
        self._benign = Frames.concatenate(benign)
        self._identifiers = np.unique(self._benign.identifier)
        self._starts, self._chances = self._window_starts(benign, [weight for _, weight in blocks])

    def _attack_frames(self, blocks: list[Frames]) -> dict[Attack, Frames]:
        frames = Frames.concatenate([block[block.attack != Attack.BENIGN] for block in blocks])
        kinds = [kind for kind in self.sampling.mixture if kind != Attack.BENIGN]
        missing = [kind.name for kind in kinds if not (frames.attack == kind).any()]
        if missing:
            raise ValueError(
                f"the training rows hold no attack of class {', '.join(missing)}; inject some, or leave the "
                "class out of the mixture"
            )
        return {kind: frames[frames.attack == kind] for kind in kinds}

    def _window_starts(self, benign: list[Frames], weights: list[float]) -> tuple[np.ndarray, np.ndarray]:
        """Rows at which a window may start without leaving its block, and the cumulated chance of each."""
        starts, chances, row = [], [], 0
        for frames, weight in zip(benign, weights, strict=True):
            count = max(0, len(frames) - self.encoding.window + 1)
            starts.append(np.arange(row, row + count))
            chances.append(np.full(count, weight))
            row += len(frames)
        cumulated = np.cumsum(np.concatenate(chances))
        if not len(cumulated):
            raise ValueError(f"no training block holds {self.encoding.window} benign frames for a window")
        return np.concatenate(starts), cumulated / cumulated[-1]

    def batch(self, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """(windows, classes) of one step."""
        random = np.random.default_rng([seed, step])
        size, window = self.sampling.batch, self.encoding.window
        kinds = self._kinds(random, size)
        injected = self._pattern(random, kinds)
        first = self._starts[np.searchsorted(self._chances, random.random(size), side="right")]
        rows = first[:, None] + np.maximum(np.cumsum(~injected, axis=1) - 1, 0)
        identifier, data = self._benign.identifier[rows], self._benign.data[rows]
        self._flip(random, data)
        self._replace(random, data)
        for kind, attack in self._attacks.items():
            place = injected & (kinds == kind)[:, None]
            chosen = random.integers(0, len(attack), int(place.sum()))
            identifier[place], data[place] = attack.identifier[chosen], attack.data[chosen]
            if kind == Attack.FUZZING:
                identifier[place] = self._harder(random, identifier[place])
                data[place] = random.integers(0, 256, (len(chosen), 8))
        seen = injected[:, -1] if self.sampling.per_frame else injected.any(axis=1)
        windows = self.encoding.of_frames(identifier, data).reshape(size, -1)
        assert windows.shape == (size, window * self.encoding.frame_features)
        return windows, np.where(seen, kinds, int(Attack.BENIGN)).astype(np.int64)

    def _kinds(self, random: np.random.Generator, size: int) -> np.ndarray:
        kinds = np.array(list(self.sampling.mixture), np.int64)
        shares = np.array(list(self.sampling.mixture.values()), float)
        return random.choice(kinds, size, p=shares / shares.sum())

    def _pattern(self, random: np.random.Generator, kinds: np.ndarray) -> np.ndarray:
        """Which slots of each window hold injected frames: at least one where anything is injected."""
        size, window = len(kinds), self.encoding.window
        share = np.full(len(Attack), SPOOFING_SHARE)
        share[Attack.BENIGN] = 0
        for kind, measured in BURST_SHARE.items():
            share[kind] = measured
        injected = random.random((size, window)) < share[kinds][:, None]
        attacked = kinds != Attack.BENIGN
        alone = attacked & (~injected.any(axis=1) | (random.random(size) < self.sampling.single))
        injected[alone] = False
        slots = random.integers(0, window, int(alone.sum()))
        injected[np.flatnonzero(alone), slots] = True
        return injected

    def _flip(self, random: np.random.Generator, data: np.ndarray) -> None:
        if not self.sampling.flipped_bits:
            return
        count = random.integers(0, self.sampling.flipped_bits + 1, data.shape[:-1])
        for flip in range(self.sampling.flipped_bits):
            place = np.nonzero(count > flip)
            octet = random.integers(0, 8, len(place[0]))
            data[(*place, octet)] ^= np.uint8(1) << random.integers(0, 8, len(octet), np.uint8)

    def _replace(self, random: np.random.Generator, data: np.ndarray) -> None:
        if not self.sampling.replaced_bytes:
            return
        place = np.nonzero(random.random(data.shape[:-1]) < self.sampling.replaced_bytes)
        octet = random.integers(0, 8, len(place[0]))
        data[(*place, octet)] = random.integers(0, 256, len(octet))

    def _harder(self, random: np.random.Generator, identifier: np.ndarray) -> np.ndarray:
        chance = random.random(len(identifier))
        known = random.choice(self._identifiers, len(identifier))
        near = known ^ (1 << random.integers(0, IDENTIFIER_BITS, len(identifier))).astype(np.uint32)
        near = np.where(np.isin(near, self._identifiers), identifier, near)
        border = self.sampling.fuzzing_known
        harder = np.where(chance < border + self.sampling.fuzzing_near, near, identifier)
        return np.where(chance < border, known, harder)
