"""The bounded queue between two stages: it blocks who is ahead, or forgets the oldest and counts it."""

from __future__ import annotations

import threading
from collections import deque

from host.detect.frames import Frame

__all__ = ["Aborted", "FrameQueue"]


class Aborted(Exception):
    """Another stage has failed, and this one is to end at once."""


class FrameQueue:
    """First in, first out, from one thread to one other."""

    def __init__(self, depth: int, *, drop_oldest: bool = False):
        if depth < 1:
            raise ValueError(f"a queue holds at least one frame, not {depth!r}")
        self._depth, self._drop_oldest = depth, drop_oldest
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._closed = self._aborted = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Frame) -> None:
        """Wait for room, or make it."""
        with self._changed:
            if self._drop_oldest:
                while len(self._frames) >= self._depth:
                    self._frames.popleft()
                    self.dropped += 1
            else:
                self._changed.wait_for(lambda: len(self._frames) < self._depth or self._aborted)
            if self._aborted:
                raise Aborted
            self._frames.append(frame)
            self._changed.notify_all()

    def get(self, *, wait: bool = True) -> Frame | None:
        """The next frame; None when there will be none any more, or without waiting, when there is none."""
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: self._frames or self._closed or self._aborted)
            if self._aborted:
                raise Aborted
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """Nothing more will be put; what is in it can still be had."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Wake both sides and make them end."""
        with self._changed:
            self._aborted = True
            self._frames.clear()
            self._changed.notify_all()
