"""Install a simulated board in this process, and take every trace of it out again."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hw.overlay.base import Overlay
from hw.overlay.hwh import Flavour
from hw.overlay.package import package
from sim.board.board import Board
from sim.board.device import Device, Package, SimulatedDevice
from sim.board.errors import BoardError
from sim.board.interrupts import uio_replacements
from sim.board.memory import MemoryModel
from sim.board.pins import Pins

__all__ = ["SimulatedBoard", "simulated_board"]

_ABSENT = object()


class SimulatedBoard:
    """What a test or a bench may do beyond what host code can."""

    def __init__(self, board: Board, device: SimulatedDevice, bitfiles: list[Path]):
        self._board = board
        self._device = device
        self.bitfiles = bitfiles
        self.pins = Pins(board)

    @property
    def bitfile(self) -> str:
        """The path that pynq.Overlay takes, of the first overlay."""
        return str(self.bitfiles[0])

    @property
    def cycles(self) -> int:
        """Clock cycles since the overlay was downloaded; 0 before."""
        return self._board.model.cycle if self._board.is_loaded else 0

    @property
    def cycles_seen(self) -> int:
        """Those that had gone by when the host last looked or waited. Any thread may ask, also afterwards."""
        return self._board.cycles_seen

    @property
    def clock_mhz(self) -> float:
        """PL clock 0, as pynq's own Clocks reads it back from the registers of the processor."""
        from pynq.ps import Clocks

        return Clocks.fclk0_mhz

    @property
    def memory(self) -> MemoryModel:
        """Timing and faults of the memory; assign another model at any time, also between two jobs."""
        return self._board.memory

    @memory.setter
    def memory(self, memory: MemoryModel) -> None:
        self._board.memory = memory

    @property
    def statistics(self) -> dict[str, dict[str, int]]:
        """Bursts, beats and bytes of each AXI master since the download."""
        return self._board.model.statistics()

    @property
    def interrupt(self) -> bool:
        """Level of the overlay's interrupt output."""
        return self._board.model.interrupt

    @property
    def builds(self) -> dict[str, str]:
        """By overlay, whether its simulator was built or reused; only of those downloaded."""
        return self._device.builds

    def run(self, cycles: int) -> None:
        """Let time go by without the host."""
        self._board.run(cycles)


@contextmanager
def simulated_board(
    *overlays: str | Package | Overlay,
    flavour: str | Flavour = "zynqmp",
    memory: MemoryModel | None = None,
    budget_cycles: int = 20_000_000,
    access_cycles: int = 100,
    dram_bytes: int = 64 << 20,
    coherent: bool = False,
    trace: Path | None = None,
) -> Iterator[SimulatedBoard]:
    """Host code inside finds a board with these overlays' bitstreams on it, and pynq as it is on a board.

    `budget_cycles` may go by without the host writing a register before a hang is reported. Every access
    of the host takes `access_cycles` beyond the bus transaction. `trace` names a .vcd file for the waveform.
    """
    if not overlays:
        raise ValueError("a simulated board needs at least one overlay")
    packages = {each.name: each for each in map(_packaged, overlays)}
    board = Board(
        flavour=Flavour(flavour),
        memory=memory or MemoryModel(),
        budget_cycles=budget_cycles,
        access_cycles=access_cycles,
        dram_bytes=dram_bytes,
        trace=trace,
    )
    device = SimulatedDevice(board, packages, coherent=coherent, traced=trace is not None)
    with tempfile.TemporaryDirectory(prefix="colonnade-overlays-") as name:
        folder = Path(name)
        bitfiles = [each.write(folder, board.flavour) for each in packages.values()]
        restore = _install(board, device, folder)
        try:
            yield SimulatedBoard(board, device, bitfiles)
            failure: BoardError | None = board.take_failure()
            if failure is not None:  # raised while nobody looked
                raise failure
        finally:
            restore()
            board.power_down()


def _packaged(overlay: str | Package | Overlay) -> Package:
    if isinstance(overlay, str):
        from hw.overlay.catalog import OVERLAYS

        if overlay not in OVERLAYS:
            raise ValueError(f"there is no overlay {overlay!r}; there are {sorted(OVERLAYS)!r}")
        overlay = OVERLAYS[overlay]()
    return package(overlay) if isinstance(overlay, Overlay) else overlay


def _install(board: Board, device: SimulatedDevice, folder: Path) -> Any:
    """Put the board into pynq's process-wide state; returns what restores it."""
    import pynq.interrupt
    import pynq.overlay
    import pynq.ps
    from pynq.interrupt import _InterruptController
    from pynq.ps import Clocks

    replaced: list[tuple[Any, str, Any]] = []

    def replace(owner: Any, name: str, value: Any) -> None:
        replaced.append((owner, name, vars(owner).get(name, _ABSENT)))
        if value is _ABSENT:
            if name in vars(owner):
                delattr(owner, name)
        else:
            setattr(owner, name, value)

    replace(Device, "_active_device", device)
    replace(Clocks, "device", device)
    replace(Clocks, "_real_instance", _ABSENT)
    replace(pynq.ps, "CPU_ARCH", device.arch)  # pynq 3.0 chooses its Clocks by it, later ones by device.arch
    replace(_InterruptController, "_controllers", [])
    replace(_InterruptController, "_uio_devices", {})
    replace(_InterruptController, "_last_timestamp", None)
    for name, value in uio_replacements(board).items():
        replace(pynq.interrupt, name, value)
    drivers = dict(pynq.overlay._ip_drivers)
    own_loop = _own_event_loop()
    variable, before = "COLONNADE_OVERLAYS", os.environ.get("COLONNADE_OVERLAYS")
    os.environ[variable] = str(folder)

    def restore() -> None:
        for owner, name, value in reversed(replaced):
            if value is _ABSENT:
                if name in vars(owner):
                    delattr(owner, name)
            else:
                setattr(owner, name, value)
        _forget_drivers(pynq.overlay._ip_drivers, drivers)
        if own_loop is not None:
            asyncio.set_event_loop(None)
            own_loop.close()
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before

    return restore


def _own_event_loop() -> asyncio.AbstractEventLoop | None:
    """A current event loop as a fresh process has one, unless one is running already, as in a notebook.

    pynq asks for the current loop outside of coroutines, and asyncio.run() leaves a process without any.
    """
    try:
        asyncio.get_running_loop()
        return None
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


def _forget_drivers(registered: dict[str, type], before: dict[str, type]) -> None:
    """Unbind the drivers of scripts and of functions; those of modules stay, for they register only once."""
    for vlnv, driver in list(registered.items()):
        if before.get(vlnv) is driver:
            continue
        module = sys.modules.get(driver.__module__)
        if driver.__module__ != "__main__" and getattr(module, driver.__qualname__, None) is driver:
            continue
        if vlnv in before:
            registered[vlnv] = before[vlnv]
        else:
            del registered[vlnv]
