"""The board without pynq: an address map over the loaded overlay, its memory, and its time.

Time goes by only while the host accesses a register or waits. Cycles are counted since the host last wrote
one; past the budget the overlay is taken to hang.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hw.overlay.hwh import Flavour
from sim.board.buffers import Dram
from sim.board.errors import BoardError, BoardHang, BusError
from sim.board.library import Model
from sim.board.memory import MemoryModel
from sim.board.ports import TopPorts
from sim.board.processing_system import ProcessingSystemRegisters
from sim.board.state_report import describe_state

__all__ = ["Board"]

WINDOW = 1 << 16
#: Below this lies the memory that Linux keeps for itself.
DRAM_BASE = 0x1000_0000


class Board:
    """Implements `WordBus` for the host's accesses; what it does to the overlay is in `Model`."""

    def __init__(
        self,
        *,
        flavour: Flavour,
        memory: MemoryModel,
        budget_cycles: int,
        access_cycles: int,
        dram_bytes: int,
        trace: Path | None,
    ):
        self.flavour = flavour
        self.budget_cycles = budget_cycles
        self.access_cycles = access_cycles
        self.dram = Dram(base=DRAM_BASE, size=dram_bytes)
        self.processing_system = ProcessingSystemRegisters(flavour)
        self._memory = memory
        self._trace = trace
        self._model: Model | None = None
        self._overlay = ""
        self._ip_dict: dict[str, Any] = {}
        self._last_write = 0
        self._failure: BoardError | None = None
        self._downloads = 0
        self.cycles_seen = 0  #: when the host last looked or waited; any thread may ask

    @property
    def is_loaded(self) -> bool:
        return self._model is not None

    @property
    def model(self) -> Model:
        if self._model is None:
            raise BusError("no overlay is loaded on the simulated board; create a pynq.Overlay first")
        return self._model

    @property
    def memory(self) -> MemoryModel:
        return self._memory

    @memory.setter
    def memory(self, memory: MemoryModel) -> None:
        self._memory = memory
        if self._model is not None:
            self._model.configure(memory)

    def power_up(self, *, overlay: str, library: Path, ports: TopPorts, ip_dict: dict[str, Any]) -> None:
        """Configure the fabric: a fresh overlay in reset state, with its cycles counted from zero."""
        self.power_down()
        self._downloads += 1
        trace = self._trace
        if trace is not None and self._downloads > 1:
            trace = trace.with_stem(f"{trace.stem}-{self._downloads}")
        if trace is not None:
            trace.parent.mkdir(parents=True, exist_ok=True)
        self._model = Model(library, ports, dram=self.dram.bytes, dram_base=self.dram.base, trace=trace)
        self._model.configure(self._memory)
        self._overlay, self._ip_dict = overlay, ip_dict
        self._last_write, self._failure = self._model.cycle, None

    def power_down(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None

    def read_word(self, address: int) -> int:
        if address in self.processing_system:
            return self.processing_system.read_word(address)
        offset = self._offset(address)
        self._check_budget()
        value = self.model.read(offset)
        self.model.run(self.access_cycles)
        return value

    def write_word(self, address: int, value: int) -> None:
        if address in self.processing_system:
            self.processing_system.write_word(address, value)
            return
        offset = self._offset(address)
        self._raise_failure()
        self.model.write(offset, value)
        self.model.run(self.access_cycles)
        self._last_write = self.model.cycle

    def run(self, cycles: int) -> None:
        """Let `cycles` go by, whatever the budget: the host asked for just these."""
        self._raise_failure()
        self.model.run(cycles)
        self._last_write += cycles

    def run_until_interrupt(self, cycles: int) -> bool:
        self._check_budget()
        return self.model.run_until_interrupt(cycles)

    def fail_next_access(self, error: BoardError) -> None:
        """Keep an error that came up where nobody could catch it."""
        self._failure = error

    def take_failure(self) -> BoardError | None:
        failure, self._failure = self._failure, None
        return failure

    def _raise_failure(self) -> None:
        failure = self.take_failure()
        if failure is not None:
            raise failure

    def _offset(self, address: int) -> int:
        offset = address - self.flavour.base
        if not 0 <= offset < WINDOW:
            raise BusError(
                f"nothing answers at address {address:#x}: the overlay's window is {self.flavour.base:#x} to "
                f"{self.flavour.base + WINDOW - 1:#x}; a real board raises SIGBUS, or hangs"
            )
        return offset

    def _check_budget(self) -> None:
        self._raise_failure()
        self.cycles_seen = self.model.cycle
        spent = self.cycles_seen - self._last_write
        if spent < self.budget_cycles:
            return
        self._last_write = self.model.cycle
        state = describe_state(self.model, self._ip_dict, base=self.flavour.base)
        raise BoardHang(
            f"overlay {self._overlay!r} hangs: {spent:,} cycles went by since the host last wrote a register "
            f"(budget {self.budget_cycles:,}, now cycle {self.model.cycle:,}).\n{state}\n"
            "Raise the budget if the job is that long, or look at a waveform (trace)."
        )
