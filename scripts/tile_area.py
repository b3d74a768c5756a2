"""The area of the tile engine, put together from its parts."""

from __future__ import annotations

CLOCK_MHZ = 100
#: The modules of the shift array, of which there are as many equal ones as outputs times pixel lanes.
SUMS = "*.sum_*"


def measure_area(engine: str) -> dict[str, float]:
    """Of the whole overlay for xc7: one sum of the array is synthesised alone, the rest flat without them."""
    from hw.arith.shift_lane import ShiftSum
    from hw.overlay.tile import TileOverlay
    from hw.resources import area
    from hw.tile.compile import compile_program
    from sim.campaigns.tile_stack import stack

    overlay = TileOverlay(preset=engine, technology="xc7")
    preset = overlay.preset
    count = preset.pixels * preset.channels
    one = area(ShiftSum(preset.channels, "xc7"))
    rest = area(overlay, apart=SUMS, timeout_s=7200)
    lut, dsp = rest.lut + count * one.lut, rest.dsp + count * one.dsp
    costs = compile_program(stack(), preset).costs
    use = sum(cost.macs for cost in costs) / sum(cost.cycles for cost in costs) / preset.lanes
    peak = 2 * preset.lanes * CLOCK_MHZ / 1000 / (lut / 1000)
    return {
        "tile.lut": lut,
        "tile.lut_per_lane": lut / preset.lanes,
        "tile.array_lut_per_lane": one.lut / preset.channels,
        "tile.ff": rest.ff + count * one.ff,
        "tile.dsp": dsp,
        "tile.ramb36": rest.ramb36 + count * one.ramb36,
        "tile.gops_per_klut_100mhz_peak": peak,
        "tile.gops_per_klut_100mhz_effective": peak * use,
    }
