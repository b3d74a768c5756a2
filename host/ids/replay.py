"""Recorded frames through the overlay: two buffers, so that the host packs while the overlay judges."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from pynq import allocate

from host.ids.records import FRAME, Verdicts, differing_rows, pack, unpack
from models.can_ids.frames import Frames

if TYPE_CHECKING:
    from host.ids.driver import Ids

__all__ = ["Replay", "chunked"]

BUFFERS = 2
#: From the end of a replay to its last verdict in the ring; the overlay writes it in microseconds.
SETTLE_S = 1.0


def chunked(chunks: Iterable[Frames], most: int) -> Iterator[Frames]:
    """The same frames in pieces of at most `most`; empty chunks are left out."""
    for frames in chunks:
        for start in range(0, len(frames), most):
            yield frames[start : start + most]


class Replay:
    """One job after another: `fill` the buffer that is free, `start` it, `collect` the one before.

    The ring must hold the verdicts of two jobs, of the one that runs and of the one not yet collected.
    """

    def __init__(self, ip: Ids, *, chunk_frames: int):
        if chunk_frames < 1:
            raise ValueError(f"a replay job has at least one frame, not {chunk_frames!r}")
        self.chunk_frames = chunk_frames
        self._ip = ip
        self._buffers = [allocate(chunk_frames * FRAME.itemsize, np.uint8) for _ in range(BUFFERS)]
        self._turn = 0
        self._filled = 0
        self.running = False  #: a job was started and has not been waited for

    @property
    def ring_records(self) -> int:
        """The smallest ring that does."""
        return 1 << (BUFFERS * self.chunk_frames - 1).bit_length()

    def steps(self, chunks: Iterable[Frames]) -> Iterator[Verdicts | None]:
        """Verdicts job by job; at a None the caller has to wait until the running job has ended."""
        judged: Frames | None = None
        for frames in chunked(chunks, self.chunk_frames):
            self.fill(frames)
            if judged is None:
                self.start()
                judged = frames
                continue
            yield None
            self.start()
            yield self.collect(judged)
            judged = frames
        if judged is not None:
            yield None
            self.running = False
            yield self.collect(judged)

    def fill(self, frames: Frames) -> None:
        """Pack frames into the buffer that the overlay does not read."""
        memory = self._buffers[self._turn]
        used = memory[: len(frames) * FRAME.itemsize]
        pack(frames, np.asarray(used).view(FRAME))
        used.flush()
        self._filled = len(frames)

    def start(self) -> None:
        """Have the overlay judge what was filled in last."""
        self._ip.write_address("REPLAY", self._buffers[self._turn].device_address)
        self._ip.write_word("REPLAY_COUNT", self._filled)
        self._ip.pulse("CONTROL", "REPLAY")
        self._turn = (self._turn + 1) % BUFFERS
        self.running = True

    def collect(self, frames: Frames) -> Verdicts:
        """The verdicts on the job of these frames, which has ended."""
        ring = self._ip.ring
        limit = time.monotonic() + SETTLE_S
        while ring.pending < len(frames):
            if time.monotonic() > limit:
                dropped = self._ip.counters["ring_dropped"]
                raise RuntimeError(
                    f"{self._ip.name}: {ring.pending} verdicts came of a replay of {len(frames)} frames; the "
                    f"overlay counts {dropped} as dropped; soft_reset() makes it usable again"
                )
        records = ring.take(len(frames))
        wrong = differing_rows(records, frames)
        if len(wrong):
            raise RuntimeError(
                f"{self._ip.name}: {len(wrong)} of {len(frames)} verdicts are about other frames than those "
                f"replayed, first number {wrong[0]}; does another process use the overlay?"
            )
        return unpack(records, frames=frames)

    def free(self) -> None:
        for memory in self._buffers:
            memory.freebuffer()
        self._buffers = []
