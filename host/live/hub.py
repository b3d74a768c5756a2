"""One publisher, many readers: the newest event of each kind is kept, readers take what is new to them.

Every event tells all of its kind (totals, the last alerts, a whole picture), so a reader that comes late or
reads slowly needs only the newest: its queue is one event a kind deep, the older one is dropped and counted.
Publishing costs the same whether nobody reads or a hundred do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

__all__ = ["Hub", "Reader", "event_bytes"]


def event_bytes(kind: str, number: int, data: str) -> bytes:
    """An event as EventSource reads it; data of several lines comes out of it with its line ends as LF."""
    if not kind or any(end in kind for end in "\r\n"):
        raise ValueError(f"the kind of an event must be one line of text, not {kind!r}")
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(
        [f"event: {kind}\n", f"id: {number}\n", *(f"data: {line}\n" for line in lines), "\n"]
    ).encode()


class Hub:
    """Any thread may publish; readers may be made and read in any thread, each reader in one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._listeners: list[Callable[[], None]] = []
        self.readers = 0  #: that are open
        self.dropped = 0  #: events that readers were too slow for; told when they read on, or leave

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called, in the publisher's thread, after every publication; it must be quick."""
        self._listeners.append(listener)

    def publish(self, kind: str, data: str) -> None:
        self.publish_together({kind: data})

    def publish_together(self, events: Mapping[str, str]) -> None:
        """Data by kind; readers are woken once for all of them."""
        with self._lock:
            for kind, data in events.items():
                number = self._newest[kind][0] + 1 if kind in self._newest else 1
                self._newest[kind] = number, event_bytes(kind, number, data)
        for listener in self._listeners:
            listener()

    def newest(self, kind: str) -> bytes:
        """The newest event of a kind as it is sent; empty before the first."""
        with self._lock:
            return self._newest[kind][1] if kind in self._newest else b""

    def reader(self) -> Reader:
        with self._lock:
            self.readers += 1
        return Reader(self)

    def _unseen(self, seen: dict[str, int]) -> tuple[list[bytes], int]:
        with self._lock:
            blocks, skipped = [], 0
            for kind, (number, block) in self._newest.items():
                before = seen.get(kind)
                if before == number:
                    continue
                skipped += 0 if before is None else number - before - 1
                seen[kind] = number
                blocks.append(block)
            self.dropped += skipped
            return blocks, skipped

    def _leave(self, seen: dict[str, int]) -> None:
        with self._lock:
            self.readers -= 1
            self.dropped += sum(number - seen.get(kind, number) for kind, (number, _) in self._newest.items())


class Reader:
    """What one client has seen. The first `take` gives the newest of everything."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._seen: dict[str, int] = {}
        self._open = True
        self.skipped = 0  #: events that newer ones replaced before they were taken

    def take(self) -> list[bytes]:
        """Events that are new since the last call; at most one a kind."""
        blocks, skipped = self._hub._unseen(self._seen)
        self.skipped += skipped
        return blocks

    def close(self) -> None:
        if self._open:
            self._open = False
            self._hub._leave(self._seen)
