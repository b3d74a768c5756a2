"""A system that runs in a thread of its own until it ends or is told to, and how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable

from host.ids.records import Verdicts

__all__ = ["Feed", "StopSink"]


class Feed:
    """`run(ready)` calls `ready()` when it has opened what it needs, and returns a line about its end.

    ::

        feed = Feed("CAN bus", run, ended=view.note)
        feed.start()   # raises what kept `run` from being ready
        ...            # whoever makes it stops it
        feed.join()
    """

    def __init__(self, name: str, run: Callable[[Callable[[], None]], str], *, ended: Callable[[str], None]):
        self.name = name
        self._run, self._ended = run, ended
        self._ready = threading.Event()
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()
        while not self._ready.wait(0.1):
            if not self._thread.is_alive():
                break
        if not self._ready.is_set() and self.failure is not None:
            raise self.failure

    def join(self, timeout_s: float | None = None) -> None:
        if self._thread.ident is not None:  # else it never began: another feed could not
            self._thread.join(timeout_s)

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _work(self) -> None:
        try:
            told = self._run(self._ready.set)
        except Exception as error:  # of any board, source or engine: the page goes on, and says it
            self.failure = error
            if self._ready.is_set():
                self._ended(f"{self.name} failed: {error}")
            return
        if told:
            self._ended(f"{self.name}: {told}")


class StopSink:
    """Ends `host.ids.pipeline.watch` at the next batch after `stopping` is set, as Ctrl-C would."""

    def __init__(self, stopping: threading.Event):
        self._stopping = stopping

    def take(self, _: Verdicts) -> None:
        if self._stopping.is_set():
            raise KeyboardInterrupt

    def close(self) -> list[str]:
        return []
