"""What the pipeline needs of a board, whatever it is, and how one is opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from host.ids.records import Verdicts
from models.can_ids.frames import Frames
from models.can_ids.zoo import CanModel

__all__ = ["AlertRule", "Board", "BoardFailure", "alert_rule", "open_board"]


class BoardFailure(RuntimeError):
    """The board cannot go on; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """Which verdicts are alerts."""

    classes: tuple[int, ...]  #: indices among the model's classes
    threshold: int  #: of the score


def alert_rule(model: CanModel, *, classes: Sequence[str] = (), threshold: int | None = None) -> AlertRule:
    """All attacks from the model's calibrated threshold on, where nothing else is asked for."""
    names = [attack.name.lower() for attack in model.classes]
    wanted = [name.lower() for name in classes] or names[1:]
    unknown = [name for name in wanted if name not in names[1:]]
    if unknown:
        raise ValueError(
            f"model {model.name!r} does not tell {unknown[0]!r} from other traffic; its attack classes are "
            f"{', '.join(names[1:])}"
        )
    return AlertRule(
        classes=tuple(sorted(names.index(name) for name in wanted)),
        threshold=model.calibration.threshold if threshold is None else threshold,
    )


class Board(Protocol):
    """Judges frames with one model; the window of frames goes on from call to call."""

    @property
    def facts(self) -> dict[str, str]:
        """What it is, for the user to read."""

    @property
    def clock_hz(self) -> float | None:
        """Of the cycles in verdicts; None where there is no clock."""

    def replay(self, chunks: Iterable[Frames]) -> Iterator[Verdicts]:
        """Verdicts in order; what is judged may lag behind what was asked for."""

    def judge(self, frames: Frames) -> Verdicts:
        """Verdicts on just these frames, now."""

    def listen(self, bit_rate: float) -> Iterator[Verdicts]:
        """What comes in on the board's own CAN pins, for ever; empty batches while it is quiet."""

    def counters(self) -> dict[str, int]:
        """What the board itself has counted."""

    def close(self) -> None: ...


def open_board(kind: str, model: CanModel, rule: AlertRule) -> Board:
    """`overlay`: the bitstream, on whatever device pynq finds. `model`: numpy, no device at all."""
    if kind == "model":
        from host.ids.golden import GoldenBoard

        return GoldenBoard(model, rule)
    if kind == "overlay":
        from host.ids.fabric import FabricBoard  # pynq takes seconds to import, and is not everywhere

        return FabricBoard(model, rule)
    raise ValueError(f"a board is 'overlay' or 'model', not {kind!r}")
