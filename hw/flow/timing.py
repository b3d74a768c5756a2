"""What place-and-route says of speed and size, in the names that the user wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Placed", "own_name", "read_report"]

#: What yosys and nextpnr append to the name of a signal when they name a cell or a net after it.
_MADE_UP = re.compile(
    r"(?:_(?:TRELLIS_FF|LUT[1-8]|PFUMX|L6MUX21|CCU2C|DPR16X4|FD[RSCP]E|CARRY[48]|MUXF[789]|RAM\w+?|DP16KD"
    r"|MULT18X18D|SRL\w+?)(?=_|$).*)|(?:\$nextpnr.*)|(?:\.genblk.*)$"
)
_INDEX = re.compile(r"\[\d+\]$")


def own_name(name: str) -> str:
    """`overlay.reader.left_TRELLIS_FF_Q_3_DI[1]` -> `overlay.reader.left`; empty for what tools invented."""
    bare = _INDEX.sub("", _MADE_UP.sub("", name.lstrip("\\")))
    return "" if "$" in bare else bare


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Figures of one routed design."""

    requested_mhz: float
    reached_mhz: float
    critical_path: tuple[str, ...]  #: signals on the slowest path, from register to register
    critical_ns: float  #: its delay
    logic_ns: float  #: the part of it that is logic; the rest is wire
    cells: Mapping[str, int]

    @property
    def met(self) -> bool:
        return self.reached_mhz >= self.requested_mhz

    @property
    def sentence(self) -> str:
        """Requested against reached, and why not faster."""
        path = " -> ".join(self.critical_path) or "between pins and registers only"
        return (
            f"requested {self.requested_mhz:g} MHz, reached {self.reached_mhz:.1f} MHz; "
            f"slowest path {self.critical_ns:.2f} ns, {self.logic_ns:.2f} of it logic: {path}"
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"met": self.met}


def read_report(report: Mapping[str, Any], *, clock_mhz: float) -> Placed:
    """Figures from nextpnr's report (JSON). With several clocks, the one with the least slack counts."""
    clocks = report["fmax"]
    if not clocks:
        raise ValueError("nextpnr reports no clock: does anything in the design have a register?")
    name, worst = min(clocks.items(), key=lambda item: item[1]["achieved"] / (item[1]["constraint"] or 1e-9))
    paths = [path for path in report["critical_paths"] if name in path["from"] and name in path["to"]]
    steps = paths[0]["path"] if paths else []
    return Placed(
        requested_mhz=round(worst["constraint"] or clock_mhz, 3),
        reached_mhz=round(worst["achieved"], 2),
        critical_path=_signals(steps),
        critical_ns=round(sum(step["delay"] for step in steps), 3),
        logic_ns=round(sum(step["delay"] for step in steps if step["type"] != "routing"), 3),
        cells={cell: use["used"] for cell, use in report["utilization"].items() if use["used"]},
    )


def _signals(steps: list[dict[str, Any]]) -> tuple[str, ...]:
    """The user's signals along a path, each once in a row."""
    names: list[str] = []
    for step in steps:
        candidates = [step.get("net", ""), step["from"]["cell"], step["to"]["cell"]]
        if step["type"] != "routing":
            candidates = [step["from"]["cell"]]
        name = next((own for own in map(own_name, candidates) if own), "")
        if name and (not names or names[-1] != name):
            names.append(name)
    last = own_name(steps[-1]["to"]["cell"]) if steps else ""
    if last and names and names[-1] != last:
        names.append(last)
    return tuple(names)
