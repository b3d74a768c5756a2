"""`source -> board -> sinks`, until the source ends or the user has seen enough.

Files wait for the board and lose nothing. A live source drops the oldest frames when the board falls behind,
and says how many; on the pins it is the overlay that counts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from host.ids.board import Board, BoardFailure
from host.ids.records import UNJUDGED, Verdicts
from host.ids.sinks import Sink, SinkError, class_name
from host.ids.sources import PinsSource, Source, SourceError
from models.can_ids.frames import Attack, Frames

__all__ = ["Summary", "watch"]


@dataclass
class Summary:
    """What happened, by the numbers."""

    classes: Sequence[Attack]
    frames: int = 0
    verdicts: np.ndarray = field(default_factory=lambda: np.zeros(UNJUDGED + 1, np.int64))  #: by class
    alerts: np.ndarray = field(default_factory=lambda: np.zeros(UNJUDGED + 1, np.int64))  #: by class
    dropped: dict[str, int] = field(default_factory=dict)  #: by the source, by reason
    counters: dict[str, int] = field(default_factory=dict)  #: of the board
    broken: str = ""  #: why the source ended early
    interrupted: bool = False
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)  #: of the sinks

    @property
    def alert_count(self) -> int:
        return int(self.alerts.sum())

    def add(self, verdicts: Verdicts) -> None:
        self.frames += len(verdicts)
        self.verdicts += np.bincount(verdicts.verdict, minlength=UNJUDGED + 1)
        self.alerts += np.bincount(verdicts.verdict[verdicts.alert], minlength=UNJUDGED + 1)

    def lines(self) -> Iterator[str]:
        """For the user to read."""
        rate = f", {self.frames / self.seconds:,.0f} a second" if self.seconds else ""
        yield f"{self.frames:,} frames in {self.seconds:.1f} s{rate}; {self.alert_count:,} alerts"
        for index in np.flatnonzero(self.verdicts).tolist():
            told = f", {self.alerts[index]:,} alerts" if self.alerts[index] else ""
            yield f"  {class_name(self.classes, index)}: {self.verdicts[index]:,} frames{told}"
        for reason, count in self.dropped.items():
            yield f"{count:,} left out: {reason}"
        for name, what in (
            ("ring_dropped", "verdicts lost: the ring of the overlay was full"),
            ("frames_lost", "frames lost inside the overlay"),
            ("frames_fd", "CAN FD frames passed over on the pins"),
        ):
            if self.counters.get(name):
                yield f"{self.counters[name]:,} {what}"
        yield from self.notes
        if self.broken:
            yield f"the source ended early: {self.broken}"
        if self.interrupted:
            yield "interrupted; everything up to here is in the files"


def watch(
    source: Source,
    board: Board,
    sinks: Sequence[Sink],
    *,
    classes: Sequence[Attack],
    seconds: float | None = None,
) -> Summary:
    """Judge all of the source; Ctrl-C ends it as its end does, and so do `seconds` by the clock."""
    summary = Summary(classes)
    started = time.monotonic()
    with contextlib.ExitStack() as closing:
        closing.callback(_close_all, sinks, summary)
        batches = closing.enter_context(contextlib.closing(_verdicts(source, board)))
        try:
            for verdicts in batches:
                summary.add(verdicts)
                for sink in sinks:
                    sink.take(verdicts)
                if seconds is not None and time.monotonic() - started >= seconds:
                    break
        except KeyboardInterrupt:
            summary.interrupted = True
        summary.seconds = time.monotonic() - started
        summary.dropped, summary.broken = dict(source.dropped), source.broken
        summary.counters = _asked(board)
    return summary


def _verdicts(source: Source, board: Board) -> Generator[Verdicts, None, None]:
    """Board errors as `BoardFailure`, whatever raised them; those of the source as they are."""
    try:
        if isinstance(source, PinsSource):
            yield from board.listen(source.bit_rate)
        elif source.live:
            yield from _live(source, board)
        else:
            yield from board.replay(source.chunks())
    except (SourceError, SinkError, BoardFailure):
        raise
    except (RuntimeError, OSError, ValueError) as error:
        raise BoardFailure(str(error)) from error


def _live(source: Source, board: Board) -> Iterator[Verdicts]:
    """A batch at a time: a verdict must not wait for the frames after it. An empty batch is a look around."""
    nothing = Verdicts.concatenate([])
    frames: Frames
    for frames in source.chunks():
        yield board.judge(frames) if len(frames) else nothing


def _asked(board: Board) -> dict[str, int]:
    """What the board has counted; a board that has just failed has other things to say."""
    try:
        return board.counters()
    except (RuntimeError, OSError):
        return {}


def _close_all(sinks: Sequence[Sink], summary: Summary) -> None:
    """Every sink is closed, also when one before it fails."""
    with contextlib.ExitStack() as closing:
        for sink in reversed(sinks):
            closing.callback(_close, sink, summary)


def _close(sink: Sink, summary: Summary) -> None:
    summary.notes.extend(sink.close())
