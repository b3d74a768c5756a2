"""The proof of a unit of the tile engine finds a planted fault."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import hw.arith.requantise
import hw.tile.fetch
import hw.tile.loader
import hw.tile.share
import hw.tile.storer
from sim.proofs.runner import Proof, prove
from sim.proofs.stream_contract import Contract
from sim.proofs.tile import (
    FETCH,
    REQUANTISE_BITS,
    SMALL,
    fetch_rules,
    requantise_rules,
    request_rules,
    row_rules,
)
from sim.proofs.tile_loader import plane_rules, window_rules
from sim.proofs.tile_share import SHARE, share_rules


def broken(module: ModuleType, sound: str, fault: str) -> ModuleType:
    """A copy of a module with one line altered."""
    text = Path(module.__file__).read_text()
    assert text.count(sound) == 1
    copy = ModuleType(module.__name__)
    exec(compile(text.replace(sound, fault), module.__file__, "exec"), copy.__dict__)
    return copy


def storer(rules):
    return lambda module: Contract(module.Storer(SMALL), rules)


def loader(rules):
    return lambda module: Contract(module.Loader(SMALL), rules)


def share(module):
    return Contract(module.ReadShare(**SHARE), share_rules)


def fetch(module):
    return Contract(module.Fetch(**FETCH), fetch_rules)


def requantise(module):
    return Contract(module.Requantise(bits=REQUANTISE_BITS), requantise_rules)


class Fault(NamedTuple):
    module: ModuleType
    sound: str
    altered: str
    contract: Callable
    depth: int
    message: str


FAULTS = {
    "unchecked": Fault(
        hw.tile.fetch, "full & (check == 0)", "full",
        fetch, 5, "an illegal instruction is not reported|had not entered",
    ),
    "unbounded": Fault(
        hw.tile.storer, "asking & (ends <= self.limit)", "asking",
        storer(request_rules), 4, "one too many",
    ),
    "wrapping": Fault(
        hw.tile.storer, "addr, row, halted = Signal(33)", "addr, row, halted = Signal(32)",
        storer(request_rules), 5, "leaving the arena is reported once|one too many",
    ),
    "early": Fault(
        hw.tile.storer, "moving & (ready_rows != 0)", "moving",
        storer(row_rules), 8, "a slot is freed that holds nothing|before it is ready",
    ),
    "hasty": Fault(
        hw.tile.loader, "~self.i.ready & reached)", "~self.i.ready)",
        loader(plane_rules), 4, "an instruction that has to wait",
    ),
    "wide": Fault(
        hw.tile.loader, "(local[p] < row.window)", "(local[p] <= row.window)",
        loader(window_rules), 11, "a write beyond its window",
    ),
    "incomplete": Fault(
        hw.tile.loader, "*(1 - preset.channels // size for", "*(2 - preset.channels // size for",
        loader(window_rules), 11, "the wrong word|a gap or a step back",
    ),
    "stale": Fault(
        hw.tile.loader, "before.eq(newest_first[-1])", "before.eq(newest_first[0])",
        loader(window_rules), 13, "the wrong word",
    ),
    "retracting": Fault(
        hw.tile.share, "may = room | held", "may = room",
        share, 9, "ar withdrew valid while stalled",
    ),
    "half up": Fault(
        hw.arith.requantise, "(half & (by_bits.below | below | byte[0]))", "half",
        requantise, 7, "golden twin",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault, tmp_path):
    planted = FAULTS[fault]
    copy = broken(planted.module, planted.sound, planted.altered)
    proof = Proof(unit=fault, contract=lambda: planted.contract(copy), depth=planted.depth)
    verdict = prove(proof, folder=tmp_path)
    assert not verdict.proven
    assert re.search(planted.message, verdict.fault)
    assert verdict.trace is not None
