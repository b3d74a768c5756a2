"""The proof of a unit of the tile engine finds a planted fault."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import hw.arith.requantise
import hw.tile.fetch
import hw.tile.kept
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
from sim.proofs.tile_kept import KEPT, kept_rules
from sim.proofs.tile_loader import plane_rules, residual_rules, window_rules
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


def kept(module):
    return Contract(module.KeptMaps(KEPT), kept_rules)


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
        hw.tile.storer, "fits.eq(ends <= limit)", "fits.eq(1)",
        storer(request_rules), 4, "one too many",
    ),
    "wrapping": Fault(
        hw.tile.storer, "addr, row, halted, asked = Signal(33)", "addr, row, halted, asked = Signal(32)",
        storer(request_rules), 5, "leaving the arena is reported once|one too many",
    ),
    "early": Fault(
        hw.tile.storer, "moving & (slots.ready != 0)", "moving",
        storer(row_rules), 8, "a slot is freed that holds nothing|before its row is ready",
    ),
    "roomy": Fault(
        hw.tile.storer, "limit.eq(Mux(op.kept, self.preset.kept_words * self.preset.channels, self.limit))",
        "limit.eq(self.limit)",
        storer(request_rules), 4, "leaving the arena is reported once",
    ),
    "sum of nothing": Fault(
        hw.tile.storer, "((residuals.ready != 0) | ~op.adds) & room", "room",
        storer(row_rules), 9, "a slot is freed that holds nothing|before its row is ready",
    ),
    "one sum for all": Fault(
        hw.tile.storer, "residuals.count(self.residual_ready, self.residual_freed)",
        "residuals.count(self.residual_ready, 0)",
        storer(row_rules), 13, "another residual row|before its row is ready|a slot is freed",
    ),
    "impatient": Fault(
        hw.tile.storer, "m.d.sync += moving.eq(0)", "m.d.sync += [moving.eq(0), op.low.eq(0)]",
        storer(row_rules), 10, "what another instruction asks for",
    ),
    "narrow step": Fault(
        hw.tile.storer, "below.eq(row_place + (op.stride >> lane_bits))", "below.eq(row_place + op.words)",
        storer(row_rules), 12, "a word in the wrong place",
    ),
    "hasty": Fault(
        hw.tile.loader, "~self.i.ready & reached)", "~self.i.ready)",
        loader(plane_rules), 4, "an instruction that has to wait",
    ),
    "hasty on chip": Fault(
        hw.tile.loader, "Mux(row.kept, self.stored_kept, self.stored)", "self.stored",
        loader(plane_rules), 5, "an instruction that has to wait",
    ),
    "astray": Fault(
        hw.tile.loader, "Mux(kept, self.preset.kept_words * self.preset.channels, self.limit)", "self.limit",
        loader(plane_rules), 5, "that is not wanted|leaving the arena is reported in error",
    ),
    "crowded": Fault(
        hw.tile.loader, "~row.residual | (room != 0)", "1",
        loader(residual_rules), 17, "a row overwritten that is still to be added",
    ),
    "overlapping": Fault(
        hw.tile.loader, "row.base, row.share, depth", "row.base, 0 * row.share, depth",
        loader(window_rules), 11, "out of its part",
    ),
    "stale": Fault(
        hw.tile.kept, "read.en.eq(moves)", "read.en.eq(1)",
        kept, 9, "lost, doubled, out of order or not as written",
    ),
    "wide": Fault(
        hw.tile.loader, "(local[p] < row.window)", "(local[p] <= row.window)",
        loader(window_rules), 11, "a write beyond its window",
    ),
    "incomplete": Fault(
        hw.tile.loader, "*(1 - preset.channels // size for", "*(2 - preset.channels // size for",
        loader(window_rules), 11, "the wrong word|a gap, a step back",
    ),
    "unmoved": Fault(
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
