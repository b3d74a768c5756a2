"""What the pipeline says of itself, while it runs and afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from host.detect.clocks import StageFigures
from host.detect.frames import Span

__all__ = ["Progress", "Statistics", "Summary"]


@dataclass(frozen=True)
class Progress:
    """How far the pipeline is."""

    frames: int  #: done
    seconds: float  #: since the start

    @property
    def fps(self) -> float:
        return self.frames / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, kw_only=True)
class Statistics(Progress):
    """The pipeline at a moment; any thread may ask."""

    dropped: int  #: by the policy
    waiting: dict[str, int]  #: frames in front of each stage
    stages: dict[str, StageFigures]

    @property
    def slowest(self) -> str:
        """The stage that limits the rate."""
        return max(self.stages, key=lambda name: self.stages[name].mean_ms, default="")


@dataclass(frozen=True, kw_only=True)
class Summary(Statistics):
    """What happened, by the numbers."""

    captured: int
    policy: str
    spans: dict[str, list[tuple[int, Span]]]  #: of the latest frames, for a timeline
    broken: str = ""  #: why the source ended early
    left_out: dict[str, int] = field(default_factory=dict)  #: by the source, by reason
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)  #: of the sinks

    def lines(self) -> Iterator[str]:
        """For the user to read."""
        yield (
            f"{self.frames:,} frames in {self.seconds:.1f} s, {self.fps:.1f} a second; the slowest stage, "
            f"{self.slowest}, allows {self.stages[self.slowest].fps:,.1f}"
        )
        yield f"{self.dropped:,} frames dropped (policy {self.policy})"
        for reason, count in self.left_out.items():
            yield f"{count:,} pictures left out: {reason}"
        yield from self.notes
        if self.broken:
            yield f"the source ended early: {self.broken}"
        if self.interrupted:
            yield "interrupted; everything up to here is in the files"
