"""A service manager's SIGTERM, for verbs that run until they are told to end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

__all__ = ["terminated_as_interrupted"]


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: files whole, pins deaf, guard off."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
