"""Everything at once for long: stalls, bus errors, new models, resets, noise; nothing may be lost."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from host.accelerator import AcceleratorError, AcceleratorTimeout
from host.ids.golden import GoldenBoard
from host.ids.weights import pipeline_shape, weight_image
from models.can_ids.frames import Frames
from models.can_ids.generator import generate
from models.can_ids.zoo import CanModel, load_model
from sim.board import Fault, MemoryModel
from sim.campaigns.ids import IdsBench, mismatches

__all__ = ["Soak", "Totals"]

#: Models of one shape, which take turns.
MODELS = ("ours", "generated")
REPLAY_FRAMES = 4096
PIN_FRAMES = 60


@dataclass
class Totals:
    """Where every frame went."""

    sent: int = 0
    right: int = 0  #: verdicts that are the golden model's
    wrong: int = 0
    given_up: int = 0  #: of jobs that ended with a reported error, or that a reset was asked for
    counted_lost: int = 0  #: by the overlay's own counters

    @property
    def lost_uncounted(self) -> int:
        return self.sent - self.right - self.wrong - self.given_up - self.counted_lost


class Soak:
    """Random episodes on one board, each followed by an account of its frames."""

    def __init__(self, bench: IdsBench, *, seed: int):
        self._bench = bench
        self._rng = np.random.default_rng(seed)
        self._seed = seed
        self.totals = Totals()
        self.episodes: Counter[str] = Counter()
        self._models = [load_model(name) for name in MODELS]
        self._use(self._models[0])
        self._traffic = self._drives()

    @property
    def memory_mb(self) -> float:
        """Most memory that this process has had so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def run(self, frames: int) -> Iterator[int]:
        """Episodes until so many frames were sent; yields the number sent so far after each."""
        kinds: list[tuple[Callable[[], None], float]] = [
            (self.replay, 0.6),
            (self.replay_into_an_error, 0.15),
            (self.replay_cut_by_a_reset, 0.1),
            (self.pins, 0.1),
            (self.change_model, 0.05),
        ]
        shares = [share for _, share in kinds]
        while self.totals.sent < frames:
            episode = kinds[self._rng.choice(len(kinds), p=shares)][0]
            episode()
            self.episodes[episode.__name__] += 1
            yield self.totals.sent

    def replay(self) -> None:
        frames = self._next(REPLAY_FRAMES)
        self._bench.board.memory = self._memory()
        self._fresh_window()
        verdicts = list(self._bench.ids.replay([frames], timeout_s=600))
        for part in verdicts:
            self._account(mismatches(part, self._golden.judge(part.frames)), len(part))
        self.totals.sent += len(frames)

    def replay_into_an_error(self) -> None:
        """Error responses to all reads or all writes: reported, and healed by the driver resetting."""
        frames = self._next(REPLAY_FRAMES)
        reads = bool(self._rng.integers(2))
        self._bench.board.memory = self._memory().replace(
            faults=(Fault(address=0, length=1 << 32, reads=reads, writes=not reads),)
        )
        self._give_up(frames, AcceleratorError, timeout_s=600)
        self._bench.board.memory = MemoryModel()

    def replay_cut_by_a_reset(self) -> None:
        """The driver loses its patience at once, and resets the overlay in the middle of the job."""
        self._bench.board.memory = self._memory()
        self._give_up(self._next(REPLAY_FRAMES), AcceleratorTimeout, timeout_s=0)

    def _give_up(self, frames: Frames, reason: type[Exception], *, timeout_s: float) -> None:
        self.totals.sent += len(frames)
        try:
            self._account(len(frames), sum(map(len, self._bench.ids.replay([frames], timeout_s=timeout_s))))
        except reason:
            self.totals.given_up += len(frames)

    def pins(self) -> None:
        """Frames bit by bit after a burst of noise, which may cost the overlay no frame."""
        frames = self._next(PIN_FRAMES)
        bench = self._bench
        bench.ids.listen(bench.bit_rate)
        self._fresh_window()
        lost = bench.ids.counters["frames_lost"]
        heard = bench.hear(frames, noise=self._rng)
        wanted = self._golden.judge(frames)
        bench.ids.stop_listening()
        self.totals.counted_lost += bench.ids.counters["frames_lost"] - lost
        self._account(mismatches(heard, wanted[: len(heard)]), len(heard))
        self.totals.sent += len(frames)

    def change_model(self) -> None:
        """Another network of the same shape, without a new bitstream."""
        ids = self._bench.ids
        model = self._models[int(self._rng.integers(len(self._models)))]
        shape = pipeline_shape(ids.parameters, shape_hash=ids.identify().shape_hash)
        ids.load_weights(weight_image(model, shape))
        self._use(model)

    def _use(self, model: CanModel) -> None:
        self._golden = GoldenBoard(model, self._bench.rule)

    def _fresh_window(self) -> None:
        self._bench.ids.discard_window()
        self._golden.discard_window()

    def _account(self, wrong: int, frames: int) -> None:
        self.totals.wrong += wrong
        self.totals.right += frames - wrong

    def _memory(self) -> MemoryModel:
        rng = self._rng
        return MemoryModel(
            latency=int(rng.integers(100)), stalls=float(rng.uniform(0, 0.4)), seed=int(rng.integers(1 << 31))
        )

    def _next(self, count: int) -> Frames:
        """The next frames of generated, attacked drives."""
        return next(self._traffic)[:count]

    def _drives(self) -> Iterator[Frames]:
        number = 0
        while True:
            drive = generate(
                vehicle_number=1 + number % 3,
                seconds=30,
                seed=self._seed * 1000 + number,
                attacks=("dos", "fuzzing", "spoofing"),
            )
            for start in range(0, len(drive) - REPLAY_FRAMES, REPLAY_FRAMES):
                yield drive[start : start + REPLAY_FRAMES]
            number += 1
