"""How the pipeline treats frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.detector.boxes import OVERLAP

__all__ = ["POLICIES", "Settings"]

POLICIES = ("block", "drop-oldest")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How frames are treated."""

    #: block: who is ahead waits, nothing is lost. drop-oldest: of the frames that wait behind the source
    #: the oldest goes, and is counted, so that what is seen is new. None: as the source's liveness wants it.
    policy: str | None = None
    #: Frames that may wait between two stages.
    depth: int = 2
    #: Least score of a box.
    least_score: float = 0.3
    #: Overlap from which the worse of two boxes of a class goes.
    overlap: float = OVERLAP
    #: A stage other than the engine, which has time limits of its own, may take so long for a frame.
    patience_s: float = 60.0
    #: Least time between two captures: plays a file as a camera would.
    pause_s: float = 0.0

    def __post_init__(self) -> None:
        if self.policy not in (None, *POLICIES):
            raise ValueError(f"policy must be one of {POLICIES!r}, not {self.policy!r}")
        if not 0 <= self.least_score <= 1:
            raise ValueError(f"least_score must be within 0 and 1, not {self.least_score!r}")

    def replace(self, **changes) -> Settings:
        return replace(self, **changes)
