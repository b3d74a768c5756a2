"""`colonnade copy`: put the DMA floor to the test on the simulated board."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.progress import track

from scripts.figures import record

#: Every job is this long, as the acceptance of the DMA engines asks.
NBYTES = 1 << 20


def command(
    seeds: int = typer.Option(200, min=1, help="Random patterns of lengths, places, latency and stalls."),
    faults: int = typer.Option(50, min=1, help="Error responses injected at random addresses."),
) -> None:
    """Copy 1 MiB per seed under random memory timing, inject errors, and measure the use of the bus.

    Example: `colonnade copy --seeds 20`
    """
    from sim.campaigns.copy import CopyBench

    console = Console()
    with CopyBench(nbytes=NBYTES) as bench:
        figures = {
            "copy.bus_use_latency0": bench.bus_use(latency=0),
            "copy.bus_use_latency40": bench.bus_use(latency=40),
        }
        figures["copy.seeds"] = seeds
        figures["copy.mismatches"] = sum(
            bench.check_seed(seed) for seed in track(range(seeds), "random timing", console=console)
        )
        cases = track(list(bench.fault_cases(range(faults))), "injected errors", console=console)
        failures = [failure for case in cases if (failure := bench.check_fault(case))]
        figures |= {"copy.faults": faults, "copy.faults_missed": len(failures)}
    for failure in failures:
        console.print(failure)
    for name, value in figures.items():
        console.print(f"{name:28} {value:.4g}")
    console.print(f"written to {record('copy', figures)}")
    if figures["copy.mismatches"] or failures:
        raise typer.Exit(1)
