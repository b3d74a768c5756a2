"""What the pipeline needs of a source and of a sink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from host.detect.frames import Captured, FrameEvent

__all__ = ["Sink", "SinkError", "Source", "SourceError"]


class SourceError(Exception):
    """The input cannot be used; the message names it and says what to do."""


class SinkError(Exception):
    """The output cannot be written; the message names it and says what to do."""


class Source(Protocol):
    """Pictures, and an account of what is not among them."""

    name: str
    live: bool  #: pictures come when they come; there is no going back for one
    rate: float  #: pictures a second that it was taken at; 0 where that means nothing

    @property
    def broken(self) -> str:
        """Where and why the source ended early; empty when it did not."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """Pictures that could not be had, by reason."""

    def frames(self) -> Iterator[Captured]:
        """Until the end. A source that dies says so in `broken` and ends."""

    def close(self) -> None: ...


class Sink(Protocol):
    """Takes every frame in order, from one thread."""

    wants_picture: bool  #: whether `FrameEvent.picture` must be drawn

    def take(self, event: FrameEvent) -> None: ...

    def close(self) -> list[str]:
        """Make files whole; lines for the user about what was done. Called also after a failure."""
