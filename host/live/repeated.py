"""Recorded pictures over and over, as a camera that never ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from host.detect.faces import Source
from host.detect.frames import Captured

__all__ = ["RepeatedPictures"]


class RepeatedPictures:
    """Opens a source again whenever it ends, unless it gave nothing or broke."""

    live = False

    def __init__(self, reopen: Callable[[], Source]):
        self._reopen = reopen
        self._source = reopen()
        self._stopped = threading.Event()
        self.name, self.rate = f"{self._source.name}, over and over", self._source.rate
        self.turns = 0

    @property
    def broken(self) -> str:
        return self._source.broken

    @property
    def left_out(self) -> Mapping[str, int]:
        return self._source.left_out

    def frames(self) -> Iterator[Captured]:
        while not self._stopped.is_set():
            given = 0
            for captured in self._source.frames():
                given += 1
                yield captured
                if self._stopped.is_set():
                    return
            if self._source.broken or not given:
                return
            self.turns += 1
            self._source.close()
            self._source = self._reopen()

    def close(self) -> None:
        self._stopped.set()
        self._source.close()
