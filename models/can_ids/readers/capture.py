"""What reading a capture yields: the frames, and an honest account of everything that is not among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from models.can_ids.frames import Frames

__all__ = ["Capture", "Tally"]


@dataclass
class Tally:
    """Counts by reason, filled while a file is read."""

    dropped: dict[str, int] = field(default_factory=dict)  #: lines or frames left out, by reason
    first_dropped: dict[str, int] = field(default_factory=dict)  #: number of the first such line or frame
    broken: str = ""  #: where and why reading stopped early; empty when the end was reached

    def drop(self, reason: str, line: int, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.first_dropped[reason] = min(self.first_dropped.get(reason, line), line)


@dataclass(frozen=True)
class Capture:
    """A capture file, or as much of it as could be read."""

    frames: Frames
    format: str  #: such as "candump"; "unknown" when nothing in the file looked like a frame
    tally: Tally

    @property
    def dropped(self) -> dict[str, int]:
        return self.tally.dropped

    @property
    def broken(self) -> str:
        return self.tally.broken

    def summary(self) -> str:
        """One line a fact: what was read, what was left out and why, where it broke."""
        return "\n".join(self._facts())

    def _facts(self) -> Iterator[str]:
        yield f"{len(self.frames):,} frames, format {self.format}"
        for reason, count in self.dropped.items():
            yield f"{count:,} dropped: {reason} (first: number {self.tally.first_dropped[reason]:,})"
        if self.broken:
            yield f"stopped early: {self.broken}"
