"""Campaigns over the `copy` overlay on the simulated board: exactness, injected errors, use of the bus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pynq import Overlay, allocate

from host.accelerator import AcceleratorError
from host.copy import Copy
from hw.bus.transfer import BURST_BEATS
from hw.overlay.copy import CopyOverlay
from hw.stream.checksum import Checksum
from sim.board import Fault, MemoryModel, SimulatedBoard, simulated_board

__all__ = ["CopyBench", "FaultCase"]

BUS_BYTES = 8
PATTERN = 0x5A  #: what the destination holds before a copy


@dataclass(frozen=True)
class FaultCase:
    """One injected error and what the driver must report of it."""

    fault: Fault
    cause: str
    address: int


class CopyBench:
    """The overlay on a board, with one buffer each way; a context manager."""

    def __init__(self, *, nbytes: int, flavour: str = "zynqmp"):
        self._nbytes = nbytes
        self._session = simulated_board(CopyOverlay(data_bits=8 * BUS_BYTES), flavour=flavour)

    def __enter__(self) -> CopyBench:
        self.board: SimulatedBoard = self._session.__enter__()
        self.copier: Copy = Overlay(self.board.bitfile).copy
        self.source = allocate(self._nbytes, np.uint8)
        self.destination = allocate(self._nbytes, np.uint8)
        self.source[:] = np.random.default_rng(0).integers(0, 256, self._nbytes, np.uint8)
        return self

    def __exit__(self, *failure) -> None:
        self.source.freebuffer()
        self.destination.freebuffer()
        self._session.__exit__(*failure)

    def check_seed(self, seed: int) -> int:
        """Copy every byte once, in pieces of random length, place and timing; return the mismatches."""
        rng = np.random.default_rng(seed)
        mismatches = done = 0
        while done < self._nbytes:
            length = min(int(2 ** rng.uniform(0, 18)), self._nbytes - done)
            self.board.memory = MemoryModel(
                latency=int(rng.integers(0, 64)),
                stalls=float(rng.uniform(0, 0.5)),
                seed=int(rng.integers(1 << 31)),
            )
            mismatches += self._mismatches(done, int(rng.integers(0, self._nbytes - length + 1)), length)
            done += length
        return mismatches

    def _mismatches(self, source: int, destination: int, length: int) -> int:
        """Wrong bytes after one copy, those around it that changed, and a wrong checksum."""
        self.destination[:] = PATTERN
        checksum = self.copier.copy(
            self.source, self.destination, nbytes=length, source_offset=source, destination_offset=destination
        )
        expected = np.full(self._nbytes, PATTERN, np.uint8)
        message = np.asarray(self.source[source : source + length])
        expected[destination : destination + length] = message
        wrong = np.count_nonzero(np.asarray(self.destination) != expected)
        return int(wrong) + (checksum != Checksum.compute(message.tobytes()))

    def fault_cases(self, seeds: range) -> Iterator[FaultCase]:
        """An error response somewhere in the source or the destination, and the address to be reported.

        A read error belongs to a beat. A write error belongs to a burst, which begins at the transfer's first
        beat or at a multiple of the largest burst.
        """
        burst_bytes = BURST_BEATS * BUS_BYTES
        for seed in seeds:
            rng = np.random.default_rng(seed)
            offset = int(rng.integers(self._nbytes))
            response: Literal["SLVERR", "DECERR"] = "DECERR" if seed // 2 % 2 else "SLVERR"
            if seed % 2:
                address = self.source.device_address + offset
                reported = address // BUS_BYTES * BUS_BYTES
                yield FaultCase(Fault(address=address, response=response, writes=False), "read", reported)
            else:
                address = self.destination.device_address + offset
                reported = max(self.destination.device_address, address // burst_bytes * burst_bytes)
                yield FaultCase(Fault(address=address, response=response, reads=False), "write", reported)

    def check_fault(self, case: FaultCase) -> str | None:
        """Run into the error and recover; return what went wrong, or nothing."""
        self.board.memory = MemoryModel(latency=20, stalls=0.2, faults=(case.fault,))
        try:
            self.copier.copy(self.source, self.destination)
        except AcceleratorError as error:
            if error.causes != (case.cause,) or error.address != case.address:
                return f"expected {case}, reported {error}"
        else:
            return f"not reported: {case}"
        self.copier.soft_reset()
        self.board.memory = MemoryModel()
        wrong = self._mismatches(0, 0, self._nbytes)
        return f"{wrong} mismatches after the soft reset that followed {case}" if wrong else None

    def bus_use(self, *, latency: int) -> float:
        """Bytes moved each way in a busy cycle, as a share of what the bus can move."""
        self.board.memory = MemoryModel(latency=latency)
        before = self.copier.counters["busy_cycles"]
        self.copier.copy(self.source, self.destination)
        return self._nbytes / (self.copier.counters["busy_cycles"] - before) / BUS_BYTES
