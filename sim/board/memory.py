"""What the memory behind an overlay's AXI masters does, told once and changeable at run time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

__all__ = ["Fault", "MemoryModel"]

_RESPONSES = {"SLVERR": 2, "DECERR": 3}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An address range that answers with an error. Reads and writes fail unless one is excluded."""

    address: int
    length: int = 1
    response: Literal["SLVERR", "DECERR"] = "SLVERR"
    reads: bool = True
    writes: bool = True

    def __post_init__(self) -> None:
        if self.response not in _RESPONSES:
            raise ValueError(f"response must be one of {tuple(_RESPONSES)}, not {self.response!r}")
        if self.length < 1 or self.address < 0:
            raise ValueError(f"a fault covers at least a byte at an address from 0 on, not {self!r}")

    @property
    def code(self) -> int:
        return _RESPONSES[self.response]


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """Latency, bandwidth, stalls and errors of the memory; everything random follows from `seed`."""

    #: Cycles from a read address to its first beat, and from the last beat of a write to its response.
    latency: int = 0
    #: Latency of writes, where it differs.
    write_latency: int | None = None
    #: Each way moves one beat in so many cycles: 1 is the full bandwidth of the port.
    beat_cycles: int = 1
    #: Probability that a channel stalls in a cycle, on all five channels and the host's own accesses.
    stalls: float = 0.0
    #: Bursts that the memory accepts before it has answered, each way.
    requests: int = 16
    seed: int = 0
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for name in ("latency", "write_latency"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} is a number of cycles from 0 on, not {value!r}")
        if self.beat_cycles < 1:
            raise ValueError(f"beat_cycles must be at least 1, not {self.beat_cycles!r}")
        if not 0 <= self.stalls < 1:
            raise ValueError(
                f"stalls is a probability below 1, or nothing would ever move; not {self.stalls!r}"
            )
        if not 1 <= self.requests <= 64:
            raise ValueError(f"requests must be in 1 to 64, not {self.requests!r}")

    def replace(self, **changes: Any) -> MemoryModel:
        return replace(self, **changes)
