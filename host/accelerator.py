"""What the driver of every Colonnade overlay can do: identify, wait with a time limit, explain errors, count.

Nothing here knows whether a board or a simulation answers; the register names come from the .hwh alone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from pynq import DefaultIP

__all__ = ["Accelerator", "AcceleratorError", "AcceleratorTimeout", "Status"]

MAGIC = 0x434F_4C4E  #: what ID reads: "COLN"
WORD = 0xFFFF_FFFF


class AcceleratorError(RuntimeError):
    """The hardware has reported errors. `causes` are their names, `address` where the first one happened."""

    def __init__(self, ip: str, causes: tuple[str, ...], address: int):
        self.causes = causes
        self.address = address
        super().__init__(
            f"{ip}: the hardware reports {', '.join(causes)} at address {address:#x}; "
            "soft_reset() makes it usable again"
        )


class AcceleratorTimeout(TimeoutError):
    """The hardware did not finish in time; `status` and `counters` say what it was doing."""

    def __init__(self, ip: str, limit_s: float, status: Status, counters: dict[str, int]):
        self.status = status
        self.counters = counters
        counts = ", ".join(f"{name} {value}" for name, value in counters.items())
        super().__init__(
            f"{ip}: not done after {limit_s:g} s; {status}; {counts}. "
            "Raise timeout_s for a longer job, or soft_reset() to give it up"
        )


@dataclass(frozen=True)
class Status:
    """One read of STATUS, and the address that belongs to its first error."""

    busy: bool
    resetting: bool
    interrupts: tuple[str, ...]  #: raised and not yet cleared
    errors: tuple[str, ...]  #: sticky causes
    error_address: int

    def __str__(self) -> str:
        parts = ["busy" if self.busy else "idle"] + (["resetting"] if self.resetting else [])
        if self.errors:
            parts.append(f"errors {', '.join(self.errors)} at {self.error_address:#x}")
        return " ".join(parts)


class Accelerator(DefaultIP):
    """Base of the drivers: pynq binds a subclass through its `bindto`.

    A job is started by the subclass; `wait()` polls and `wait_async()` sleeps until its interrupt. Both raise
    `AcceleratorError` for what the hardware reports and `AcceleratorTimeout` when it says nothing in time.
    """

    def __init__(self, description):
        super().__init__(description)
        self.name = description["fullpath"]
        self._offsets = {name: register["address_offset"] for name, register in self._registers.items()}
        self._status_bits = {
            name: field["bit_offset"] for name, field in self._registers["STATUS"]["fields"].items()
        }
        self._check_identity(description.get("parameters", {}))

    def _check_identity(self, parameters: dict) -> None:
        found = self.read_word("ID")
        if found != MAGIC:
            raise RuntimeError(
                f"{self.name}: ID reads {found:#010x} instead of {MAGIC:#010x}, so no Colonnade overlay is "
                "there; is the bitstream of this .hwh loaded?"
            )
        expected, found = parameters.get("DESIGN_HASH"), self.read_word("DESIGN_HASH")
        if expected is not None and int(expected, 0) != found:
            raise RuntimeError(
                f"{self.name}: the .hwh describes design {expected}, but {found:#010x} is loaded; "
                "copy the .bit and the .hwh of one build to the board"
            )

    def read_word(self, register: str) -> int:
        return self.mmio.read(self._offsets[register])

    def write_word(self, register: str, value: int) -> None:
        self.mmio.write(self._offsets[register], int(value) & WORD)

    def write_address(self, register: str, address: int) -> None:
        """Write an address to the pair `<register>_LO`, `<register>_HI`."""
        self.write_word(f"{register}_LO", address)
        self.write_word(f"{register}_HI", address >> 32)

    @property
    def status(self) -> Status:
        word = self.read_word("STATUS")
        raised = [name for name, bit in self._status_bits.items() if word >> bit & 1]
        errors = tuple(name[len("ERROR_") :].lower() for name in raised if name.startswith("ERROR_"))
        address = self.read_word("ERROR_ADDR_LO") | self.read_word("ERROR_ADDR_HI") << 32 if errors else 0
        return Status(
            busy="BUSY" in raised,
            resetting="RESETTING" in raised,
            interrupts=tuple(name[len("IRQ_") :].lower() for name in raised if name.startswith("IRQ_")),
            errors=errors,
            error_address=address,
        )

    @property
    def counters(self) -> dict[str, int]:
        """Every counter of the overlay, all of the same moment."""
        self.write_word("SNAPSHOT", 1)
        names = [
            name[:-3] for name in self._offsets if name.endswith("_LO") and f"{name[:-3]}_HI" in self._offsets
        ]
        latched = [name for name in names if name.startswith("STALL_") or name.endswith("CYCLES")]
        return {
            name.lower(): self.read_word(f"{name}_LO") | self.read_word(f"{name}_HI") << 32
            for name in latched
        }

    def wait(self, timeout_s: float = 10.0, *, interrupt: str = "done") -> None:
        """Poll until the job is done, for at most `timeout_s`."""
        self._poll(lambda status: interrupt in status.interrupts, timeout_s)
        self._finish(interrupt)

    async def wait_async(self, timeout_s: float = 10.0, *, interrupt: str = "done") -> None:
        """Sleep until the job's interrupt, for at most `timeout_s`; other coroutines run meanwhile."""
        try:
            await asyncio.wait_for(getattr(self, interrupt).wait(), timeout_s)
        except asyncio.TimeoutError:  # an alias of TimeoutError from Python 3.11 on
            raise AcceleratorTimeout(self.name, timeout_s, self.status, self.counters) from None
        self._finish(interrupt)

    def soft_reset(self, timeout_s: float = 1.0) -> None:
        """Give up what is under way, finish what is in flight on the bus, and start afresh."""
        self.write_word("SOFT_RESET", 1)
        self._poll(lambda status: not status.resetting, timeout_s)

    def _poll(self, done, timeout_s: float) -> None:
        limit = time.monotonic() + timeout_s
        while not done(status := self.status):
            if time.monotonic() > limit:
                raise AcceleratorTimeout(self.name, timeout_s, status, self.counters)

    def _finish(self, interrupt: str) -> None:
        """Lower the interrupt, and raise what the hardware has to complain of."""
        self.write_word(
            "INTERRUPT", 1 << self._registers["INTERRUPT"]["fields"][interrupt.upper()]["bit_offset"]
        )
        status = self.status
        if status.errors:
            self.write_word("ERROR", WORD)
            raise AcceleratorError(self.name, status.errors, status.error_address)
