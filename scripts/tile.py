"""`colonnade tile`: put the tile engine to the test on the simulated board."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.progress import track

from scripts.figures import record


def command(
    layers: int = typer.Option(500, min=0, help="Random layers."),
    networks: int = typer.Option(100, min=0, help="Random small networks."),
    engine: str = typer.Option("small", help="Preset whose lane use is measured; the rest runs on `sim`."),
    use: bool = typer.Option(
        True, help="Measure lane use, traffic and the cost model on the detector-like stack."
    ),
    area: bool = typer.Option(False, help="Synthesise the engine for xc7 too (many minutes)."),
) -> None:
    """Run random layers and networks bit for bit, and measure a stack of 1.4 G multiply-accumulates.

    Example: `colonnade tile --layers 50 --networks 10 --no-use`
    """
    from sim.campaigns.tile import TileBench

    console = Console()
    figures: dict[str, float] = {"tile.layers": layers, "tile.networks": networks}
    failed = []
    with TileBench() as bench:
        for name, count, network in (("layers", layers, False), ("networks", networks, True)):
            for seed in track(range(count), name, console=console):
                if bench.check_seed(seed, network=network)[1]:
                    failed.append(f"{name} seed {seed}")
    figures["tile.mismatches"] = len(failed)
    if use:
        from sim.campaigns.tile_stack import measure_stack, stack

        result = measure_stack(engine, stack())
        figures |= {
            "tile.lane_use": result.lane_use,
            "tile.model_error_max": result.model_error_max,
            "tile.traffic_ratio": result.traffic_ratio,
            "tile.stack_cycles": result.cycles,
            "tile.stack_mismatches": result.mismatches,
        }
    if area:
        from hw.overlay.tile import TileOverlay
        from hw.resources import area as synthesise

        overlay = TileOverlay(preset=engine, technology="xc7")
        size, lanes = synthesise(overlay, timeout_s=7200), overlay.preset.lanes
        peak = 0.2 * lanes / (size.lut / 1000)
        figures |= {
            "tile.lut": size.lut,
            "tile.lut_per_lane": size.lut / lanes,
            "tile.dsp": size.dsp,
            "tile.ramb36": size.ramb36,
            "tile.gops_per_klut_100mhz_peak": peak,
        }
        if use:
            figures["tile.gops_per_klut_100mhz_effective"] = peak * figures["tile.lane_use"]
    for line in failed:
        console.print(f"mismatch: {line}")
    for name, value in figures.items():
        console.print(f"{name:40} {value:.5g}")
    console.print(f"written to {record('tile', figures)}")
    if failed or figures.get("tile.stack_mismatches"):
        raise typer.Exit(1)
