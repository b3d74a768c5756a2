"""Area and cycles of networks of the zoo in this architecture, beside what others published."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hw.dataflow.folding import fold, verdict_cycles
from hw.dataflow.pipeline import FoldedPipeline
from hw.dataflow.unrolled import UnrolledPipeline
from hw.ids.path import IdsPath
from hw.resources import Area, area
from models.program import load

__all__ = ["Point", "points"]

ZOO = Path(__file__).parents[2] / "models" / "zoo"
#: Slots, bits of a value, cycles a value may take, cycles from the last data bit to the verdict: at 1 Mbit/s
#: and 100 MHz a bit takes 100 cycles, a byte 800, the CRC 1,500.
PATHS = {"ours": (1, 1, 8, 256), "published": (4, 8, 400, 1300)}
#: The 40-64-32-4 network that da4ml and NNgen were measured with; deadlines of its folded variants.
FOLDED_PEER_CYCLES = (2400, 240)


@dataclass(frozen=True)
class Point:
    """One design, synthesised."""

    name: str
    family: str
    cycles: int  #: from the last input to the verdict
    area: Area


def points() -> Iterator[Point]:
    """Whole paths from the receive pin, then the peers' network alone; minutes each."""
    for name, (slots, value_bits, value_cycles, judge_cycles) in PATHS.items():
        program = load(ZOO / f"can_ids_{name}.onnx", style="thresholds")
        shape = fold(
            program,
            judge_cycles=judge_cycles,
            slots=slots,
            value_bits=value_bits,
            value_cycles=value_cycles,
        )
        for family in ("xc7", "xcup"):
            path = IdsPath(shape=shape, program=program, model_hash=1)
            yield Point(name, family, verdict_cycles(shape), area(path, family))

    peer = load(ZOO / "can_ids_peer.onnx", style="thresholds")
    unrolled = UnrolledPipeline(program=peer, adders_per_cycle=2)
    yield Point("peer_unrolled", "xcup", unrolled.latency_cycles, area(unrolled, "xcup"))
    for deadline in FOLDED_PEER_CYCLES:
        shape = fold(peer, judge_cycles=deadline)
        folded = FoldedPipeline(shape=shape, program=peer)
        yield Point(f"peer_folded_{deadline}", "xcup", verdict_cycles(shape), area(folded, "xcup"))
