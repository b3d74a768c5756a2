"""Refuses builds that came out too small: weights that were lost read as zeros, and zeros cost nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hw.flow.tools import FlowError

__all__ = ["check_area", "check_memories"]

#: A sound build is never this far below its estimate; the estimates are good to a sixth.
LEAST_SHARE = 0.6
#: Bits of one block, by cell.
BLOCK_BITS = {"DP16KD": 16_384, "RAMB18E1": 16_384, "RAMB36E1": 32_768}
#: A memory of more bits than this is put into blocks by every flow.
LARGE_BITS = 4096


def check_area(name: str, *, synthesised: int, estimated: float) -> None:
    """Look-up tables against the estimate of the folding."""
    if synthesised < LEAST_SHARE * estimated:
        raise FlowError(
            f"{name}: {synthesised} look-up tables were synthesised where about {estimated:.0f} were "
            "expected; such a design has usually lost its weights: are they all zero, or is their file "
            "missing?"
        )


def check_memories(name: str, system: Any, cells: Mapping[str, int]) -> None:
    """The large memories of the judge in `system` must be there; tools drop those that hold zeros."""
    banks = [bank for bank in system.judge.shape.banks if bank.depth * bank.width > LARGE_BITS]
    expected = sum(bank.depth * bank.width for bank in banks)
    found = sum(bits * cells.get(cell, 0) for cell, bits in BLOCK_BITS.items())
    if found < expected:
        raise FlowError(
            f"{name}: block memories of {found} bits were synthesised where "
            f"{', '.join(bank.name for bank in banks)} take {expected}; "
            "the weights were lost: are they all zero, or is their file missing?"
        )
