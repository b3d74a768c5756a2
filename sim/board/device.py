"""The simulated board as a pynq Device: pynq's own extension point, so host code cannot tell."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, Protocol

from hw.overlay.hwh import Flavour
from sim.board.board import Board
from sim.board.buffers import Allocation, SimulatedBuffer
from sim.board.mmio import TrapArray
from sim.board.ports import TopPorts
from sim.board.processing_system import ARCHITECTURE
from sim.board.verilate import LIBRARY, build_library

with warnings.catch_warnings():
    # pynq says on import that it knows neither this processor nor its video library; that is the point.
    warnings.simplefilter("ignore")
    import pynq.lib  # noqa: F401  every Overlay imports it
    from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
    from pynq.pl_server.device import Device
    from pynqmetadata.frontends import Metadata

__all__ = ["Package", "SimulatedDevice"]

log = logging.getLogger("colonnade.board")


class Package(Protocol):
    """What the board needs of an overlay; `hw.overlay.package.OverlayPackage` has it."""

    @property
    def name(self) -> str: ...
    @property
    def verilog(self) -> str: ...
    def write(self, folder: Path, flavour: Flavour) -> Path: ...


class SimulatedDevice(Device):
    """No `_probe_`: it is active only where it is installed."""

    def __init__(self, board: Board, packages: dict[str, Package], *, coherent: bool, traced: bool):
        super().__init__("simulated board")
        self.name = "simulated board"
        self.arch = ARCHITECTURE[board.flavour]
        self.capabilities = {"MEMORY_MAPPED": True}
        self.timestamp = None
        self.devicetree_dict: dict[str, Any] = {}
        self._board = board
        self._packages = packages
        self._coherent = coherent
        self._traced = traced
        #: How the simulator of each downloaded overlay came about: "built in 9.8 s" or "reused".
        self.builds: dict[str, str] = {}

    # Metadata and download

    def get_bitfile_metadata(self, bitfile_name: str, **_: Any) -> RuntimeMetadataParser:
        path = Path(bitfile_name).with_suffix(".hwh")
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: an overlay is described by the .hwh beside its .bit, which is missing"
            )
        return RuntimeMetadataParser(Metadata(input=str(path)))

    def download(self, bitstream: Any, parser: Any = None) -> None:
        name = Path(bitstream.bitfile_name).stem
        if name not in self._packages:
            raise ValueError(
                f"{bitstream.bitfile_name}: the simulated board was made for {sorted(self._packages)!r}, so "
                f"it has no gateware for {name!r}; name it among the overlays of the simulation"
            )
        verilog = self._packages[name].verilog
        built = build_library(verilog, overlay=name, traced=self._traced)
        self.builds[name] = str(built)
        log.info("simulator of overlay %s: %s (%s)", name, built, built.path)
        ip_dict = parser.ip_dict if parser is not None else self.ip_dict
        self._board.power_up(
            overlay=name,
            library=built.path / LIBRARY,
            ports=TopPorts.of_verilog(verilog, overlay=name),
            ip_dict=dict(ip_dict.items()),
        )
        super().post_download(bitstream, parser, self.name)

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        """pynq's metadata cache is shared by all processes of a machine; a simulation leaves it alone."""

    def shutdown(self) -> None:
        """Nothing is left running between two overlays."""

    def close(self) -> None:
        """pynq 3.x calls it; the session frees what there is."""

    # Registers

    def mmap(self, base_addr: int, length: int) -> TrapArray:
        return TrapArray(self._board, base_addr, length // 4)

    # Memory

    @property
    def default_memory(self) -> SimulatedDevice:
        return self

    def get_memory(self, _description: dict[str, Any]) -> SimulatedDevice:
        return self

    def allocate(self, shape: Any, dtype: Any = "u4", cacheable: int = 1, **_: Any) -> SimulatedBuffer:
        coherent = self._coherent or not cacheable
        return self._board.dram.allocate(shape, dtype, coherent=coherent, device=self)

    def flush(self, bo: Allocation, offset: int, _vaddr: int, nbytes: int) -> None:
        bo.flush(offset, nbytes)

    def invalidate(self, bo: Allocation, offset: int, _vaddr: int, nbytes: int) -> None:
        bo.invalidate(offset, nbytes)
