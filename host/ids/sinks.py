"""Where verdicts go: JSON lines and CSV; `events` and `live` have files of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from host.ids.line_file import LineFile, SinkError
from host.ids.records import UNJUDGED, Verdicts
from models.can_ids.frames import Attack

__all__ = ["CsvSink", "JsonLinesSink", "Sink", "SinkError", "class_name", "open_sink"]

#: Lines are written in blocks of so many rows.
BLOCK_ROWS = 4096
CSV_HEADING = "timestamp,identifier,extended,remote,dlc,data,class,score,alert,sequence,cycle\n"


class Sink(Protocol):
    """Takes every batch of verdicts, and an account of the run at its end."""

    def take(self, verdicts: Verdicts) -> None: ...

    def close(self) -> list[str]:
        """Write what is still to be written; lines for the user about what was done."""


def class_name(classes: Sequence[Attack], verdict: int) -> str:
    return "unjudged" if verdict == UNJUDGED else classes[verdict].name.lower()


class _RowsSink:
    """A line a verdict: of alerts alone, or of everything."""

    def __init__(self, path: Path, classes: Sequence[Attack], *, everything: bool = False, heading: str = ""):
        self._file = LineFile(path, heading=heading)
        self._names = {index: class_name(classes, index) for index in (*range(len(classes)), UNJUDGED)}
        self._everything = everything
        self._rows = 0

    def take(self, verdicts: Verdicts) -> None:
        chosen = verdicts if self._everything else verdicts[np.flatnonzero(verdicts.alert)]
        for start in range(0, len(chosen), BLOCK_ROWS):
            block = chosen[start : start + BLOCK_ROWS]
            self._file.append("".join(self._lines(block)))
            self._rows += len(block)

    def close(self) -> list[str]:
        self._file.close()
        return [f"{self._file.path}: {self._rows:,} {'verdicts' if self._everything else 'alerts'}"]

    def _lines(self, verdicts: Verdicts) -> list[str]:
        raise NotImplementedError

    def _columns(self, verdicts: Verdicts) -> zip:
        """Plain Python values, a tuple a row: one conversion a column is far cheaper than one a cell."""
        frames = verdicts.frames
        payloads = frames.data.tobytes().hex()
        return zip(
            frames.timestamp.tolist(),
            frames.identifier.tolist(),
            frames.extended.tolist(),
            frames.remote.tolist(),
            frames.dlc.tolist(),
            [payloads[16 * row : 16 * row + 2 * octets] for row, octets in enumerate(frames.dlc.tolist())],
            [self._names[verdict] for verdict in verdicts.verdict.tolist()],
            verdicts.score.tolist(),
            verdicts.alert.tolist(),
            verdicts.sequence.tolist(),
            verdicts.cycle.tolist(),
            strict=True,
        )


class JsonLinesSink(_RowsSink):
    """One JSON object a line."""

    def _lines(self, verdicts: Verdicts) -> list[str]:
        lines = []
        for (
            timestamp,
            identifier,
            extended,
            remote,
            dlc,
            data,
            name,
            score,
            alert,
            sequence,
            cycle,
        ) in self._columns(verdicts):
            row = {
                "timestamp": None if timestamp != timestamp else timestamp,  # JSON has no NaN
                "identifier": f"{identifier:0{8 if extended else 3}x}",
                "extended": extended,
                "remote": remote,
                "dlc": dlc,
                "data": data,
                "class": name,
                "score": score,
                "alert": alert,
                "sequence": sequence,
                "cycle": cycle,
            }
            lines.append(json.dumps(row) + "\n")
        return lines


class CsvSink(_RowsSink):
    """The same columns with commas between; a heading where the file is new."""

    def __init__(self, path: Path, classes: Sequence[Attack], *, everything: bool = False):
        super().__init__(path, classes, everything=everything, heading=CSV_HEADING)

    def _lines(self, verdicts: Verdicts) -> list[str]:
        return [
            f"{'' if timestamp != timestamp else timestamp},{identifier:0{8 if extended else 3}x},"
            f"{int(extended)},{int(remote)},{dlc},{data},{name},{score},{int(alert)},{sequence},{cycle}\n"
            for timestamp, identifier, extended, remote, dlc, data, name, score, alert, sequence, cycle in (
                self._columns(verdicts)
            )
        ]


def open_sink(text: str, classes: Sequence[Attack], *, everything: bool = False) -> Sink:
    """The sink that a command line names: jsonl:FILE, csv:FILE, events:FILE or live."""
    from host.ids.events import EventSink

    kind, _, path = text.partition(":")
    if text == "live":
        from host.ids.live import LiveSink

        return LiveSink(classes)
    makers: dict[str, Callable[[Path], Sink]] = {
        "jsonl": lambda path: JsonLinesSink(path, classes, everything=everything),
        "csv": lambda path: CsvSink(path, classes, everything=everything),
        "events": lambda path: EventSink(path, classes),
    }
    if kind not in makers or not path:
        raise SinkError(f"a sink is jsonl:FILE, csv:FILE, events:FILE or live, not {text!r}")
    return makers[kind](Path(path))
