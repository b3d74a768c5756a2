"""Copy a megabyte through the fabric and back up every claim: bytes, checksum, cycles.

Runs unchanged on a PYNQ board (`python -m host.demos.copy`) and on the simulated one
(`colonnade simulate host/demos/copy.py --overlay copy`).
"""

from __future__ import annotations

import asyncio

import numpy as np
from pynq import Overlay, allocate
from rich.console import Console
from rich.table import Table

from host.copy import Copy
from host.overlays import bitfile

LENGTHS = (64, 4096, 65_536, 1 << 20)


def checksum(message: np.ndarray) -> int:
    """The sum of little-endian 32-bit words that the hardware must report."""
    padded = np.zeros(-(-message.size // 4) * 4, np.uint8)
    padded[: message.size] = message
    return int(padded.view("<u4").sum(dtype=np.uint64)) & 0xFFFF_FFFF


async def main() -> None:
    """Copy each length once and show what happened."""
    overlay = Overlay(bitfile("copy"))
    copier: Copy = overlay.copy
    rng = np.random.default_rng(1)
    table = Table(
        "bytes", "checksum", "cycles", "bytes/cycle", title="copy: memory to memory through the fabric"
    )
    for length in LENGTHS:
        with allocate(length, np.uint8) as source, allocate(length, np.uint8) as destination:
            source[:] = rng.integers(0, 256, length, np.uint8)
            before = copier.counters["busy_cycles"]
            total = await copier.copy_async(source, destination)
            cycles = copier.counters["busy_cycles"] - before
            if not np.array_equal(source, destination) or total != checksum(np.asarray(source)):
                raise SystemExit(f"copy of {length} bytes came out wrong, checksum {total:#010x}")
            table.add_row(f"{length:,}", f"{total:#010x}", f"{cycles:,}", f"{length / cycles:.2f}")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
