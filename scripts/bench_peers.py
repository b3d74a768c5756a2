"""Another project's accelerator beside ours: one layer, one memory, one synthesis script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
CLOCK_MHZ = 100


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What was measured of one accelerator on the layer."""

    name: str
    key: str  #: of its figures
    lanes: int
    cycles: int
    lut: int
    ff: int
    dsp: int
    ramb36: float
    mismatches: int

    @property
    def lut_cycles(self) -> int:
        """Tables times cycles: what the layer costs, whatever the accelerator's size."""
        return self.lut * self.cycles

    def lane_use(self, macs: int) -> float:
        return macs / self.cycles / self.lanes

    def gops_per_klut(self, macs: int) -> float:
        """On this layer, not at its peak; an operation is half of a multiply-accumulate."""
        return 2 * macs / self.cycles * CLOCK_MHZ / 1000 / (self.lut / 1000)

    def figures(self, macs: int) -> dict[str, float]:
        values: dict[str, float] = {
            "cycles": self.cycles,
            "lut": self.lut,
            "ff": self.ff,
            "dsp": self.dsp,
            "ramb36": self.ramb36,
            "lut_cycles": self.lut_cycles,
            "lane_use": self.lane_use(macs),
            "gops_per_klut_100mhz": self.gops_per_klut(macs),
            "mismatches": self.mismatches,
        }
        return {f"peers.{self.key}.{name}": value for name, value in values.items()}


def table(contenders: Sequence[Contender], macs: int) -> Table:
    made = Table(title=f"A 3x3 layer of {macs / 1e6:.1f} M multiply-accumulates")
    for heading in ("", "lanes", "cycles", "use", "LUT", "FF", "DSP", "RAMB36", "LUT x cycles", "GOPS/kLUT"):
        made.add_column(heading, justify="right" if heading else "left")
    for one in contenders:
        made.add_row(
            one.name, f"{one.lanes:,}", f"{one.cycles:,}", f"{one.lane_use(macs):.1%}", f"{one.lut:,}",
            f"{one.ff:,}", f"{one.dsp}", f"{one.ramb36:g}", f"{one.lut_cycles:.3g}",
            f"{one.gops_per_klut(macs):.2f}",
        )  # fmt: skip
    return made


def compared(contenders: Sequence[Contender], macs: int) -> dict[str, float]:
    """Every figure; how many times more tables times cycles the peers take than the first."""
    figures: dict[str, float] = {}
    for one in contenders:
        figures |= one.figures(macs)
    ours, *others = contenders
    for other in others:
        figures[f"peers.{other.key}.lut_cycles_over_ours"] = other.lut_cycles / ours.lut_cycles
    return figures


def measure(*, engine: str, python: Path, inputs: int, outputs: int, console: Console) -> list[Contender]:
    """Ours and NNgen's; raises where NNgen is missing, before anything long is begun."""
    from sim.peers.layer import PeerLayer
    from sim.peers.nngen_peer import require

    version = require(python)
    layer = PeerLayer()
    return [
        _ours(layer, engine, console),
        _nngen(layer, version, engine, python, inputs, outputs, console),
    ]


def _ours(layer, engine: str, console: Console) -> Contender:
    from scripts.tile_area import overlay_area
    from sim.peers.engine import run_layer

    with console.status(f"the engine {engine}: simulation"):
        ran = run_layer(layer, engine)
    with console.status(f"the engine {engine}: synthesis, minutes"):
        area = overlay_area(engine)
    return Contender(
        name=f"tile engine, preset {engine}", key=f"tile.{engine}", lanes=ran.lanes, cycles=ran.cycles,
        lut=area.lut, ff=area.ff, dsp=area.dsp, ramb36=area.ramb36, mismatches=ran.mismatches,
    )  # fmt: skip


def _nngen(
    layer, version: str, engine: str, python: Path, inputs: int, outputs: int, console: Console
) -> Contender:
    from hw.tile.preset import preset
    from sim.campaigns.tile_stack import MEMORY
    from sim.peers.nngen_peer import Nngen

    with console.status("NNgen: generation, minutes"):
        peer = Nngen.generate(
            layer, python=python, inputs=inputs, outputs=outputs, bus_bits=preset(engine).bus_bits
        )
    with console.status("NNgen: Verilator, minutes"):
        cycles, result = peer.run(MEMORY)
    unlike = int(np.count_nonzero(result != peer.model))
    console.print(
        f"NNgen's hardware differs from NNgen's own software model in {unlike:,} of {result.size:,}"
    )
    mismatches = int(np.count_nonzero(result != layer.truncated()))
    with console.status("NNgen: synthesis, many minutes"):
        area = peer.area(log=ROOT / "build" / "logs" / "peers" / "nngen.log")
    return Contender(
        name=f"NNgen {version} log_weight_conv2d", key=f"nngen.{inputs}x{outputs}", lanes=peer.lanes,
        cycles=cycles, lut=area.lut, ff=area.ff, dsp=area.dsp, ramb36=area.ramb36, mismatches=mismatches,
    )  # fmt: skip
