"""What the pipeline says of itself, while it runs and afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from host.detect.clocks import StageFigures
from host.detect.frames import Span

__all__ = ["Statistics", "Summary"]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """The pipeline at a moment; any thread may ask."""

    frames: int  #: done
    dropped: int  #: by the policy
    waiting: dict[str, int]  #: frames in front of each stage
    stages: dict[str, StageFigures]
    seconds: float  #: since the start

    @property
    def fps(self) -> float:
        return self.frames / self.seconds if self.seconds else 0.0

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
