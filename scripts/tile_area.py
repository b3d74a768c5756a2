"""The area of the tile engine, put together from its parts, and its speed where place-and-route exists."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hw.resources import Area
    from hw.tile.preset import Preset

CLOCK_MHZ = 100
#: The modules of the shift array, of which there are as many equal ones as outputs times pixel lanes.
SUMS = "*.sum_*"


def overlay_area(engine: str | Preset) -> Area:
    """Of the whole overlay for xc7: one sum of the array is synthesised alone, the rest flat without them."""
    return _areas(engine)[0]


def _areas(engine: str | Preset) -> tuple[Area, Area]:
    """The overlay, and one sum of its array."""
    from hw.arith.shift_lane import ShiftSum
    from hw.overlay.tile import TileOverlay
    from hw.resources import Area, area

    overlay = TileOverlay(preset=engine, technology="xc7")
    preset = overlay.preset
    count = preset.pixels * preset.channels
    one = area(ShiftSum(preset.channels, "xc7"))
    rest = area(overlay, apart=SUMS, timeout_s=7200)
    parts = {name: value + count * getattr(one, name) for name, value in asdict(rest).items()}
    return Area(**parts), one


def measure_area(preset: Preset) -> dict[str, float]:
    """The overlay's figures."""
    from hw.tile.compile import compile_program
    from sim.campaigns.tile_stack import stack

    whole, one = _areas(preset)
    lut = whole.lut
    costs = compile_program(stack(), preset).costs
    use = sum(cost.macs for cost in costs) / sum(cost.cycles for cost in costs) / preset.lanes
    peak = 2 * preset.lanes * CLOCK_MHZ / 1000 / (lut / 1000)
    return {
        "tile.lut": lut,
        "tile.lut_per_lane": lut / preset.lanes,
        "tile.array_lut_per_lane": one.lut / preset.channels,
        "tile.ff": whole.ff,
        "tile.dsp": whole.dsp,
        "tile.ramb36": whole.ramb36,
        "tile.gops_per_klut_100mhz_peak": peak,
        "tile.gops_per_klut_100mhz_effective": peak * use,
    }


def measure_speed(preset: Preset) -> tuple[dict[str, float], str]:
    """Of the overlay between registers on an ECP5-85F of speed grade 6, placed once; and what limits it."""
    from hw.boards.catalog import board_named
    from hw.flow.ecp5 import build
    from hw.flow.harness import Harness
    from hw.overlay.tile import TileOverlay

    built = build(
        Harness(TileOverlay(preset=preset)),
        name=f"tile-{preset.name}",
        board=board_named("ulx3s"),
        placed_pins=False,
    )
    figures = {
        f"tile.{preset.name}.ecp5_fmax_mhz": built.placed.reached_mhz,
        f"tile.{preset.name}.ecp5_lut4": built.lut4,
    }
    return figures, built.placed.sentence
