"""Prove the contracts of the stream and bus units."""

from __future__ import annotations

import os
import re
from pathlib import Path

import typer

FOLDER = Path("build") / "proofs"
PAGE = Path("docs") / "proofs.md"


def command(
    units: str = typer.Option("", help="Only the proofs whose name contains this."),
    jobs: int = typer.Option(os.cpu_count() or 1, min=1, help="Proofs at a time."),
    again: bool = typer.Option(False, help="Repeat what was proven before with the same gateware and tools."),
    write: bool = typer.Option(False, help=f"Refresh the table in {PAGE} (all units only)."),
) -> None:
    """Prove every unit's contract: stable while stalled, nothing lost, doubled or reordered.

    Example: `colonnade prove --units Fifo`
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    from rich.console import Console
    from rich.progress import track

    from scripts.figures import ROOT, record
    from sim.proofs.catalog import PROOFS
    from sim.proofs.runner import prove

    chosen = [proof for proof in PROOFS if units.lower() in proof.unit.lower()]
    if not chosen:
        known = ", ".join(proof.unit for proof in PROOFS)
        raise typer.BadParameter(f"no proof is named like {units!r}; there are {known}", param_hint="--units")
    console = Console()
    folder = ROOT / FOLDER
    with ThreadPoolExecutor(jobs) as workers:
        running = [workers.submit(prove, proof, folder=folder, again=again) for proof in chosen]
        done = track(as_completed(running), "proving", len(running), console=console, transient=True)
        verdicts = {future.result().unit: future.result() for future in done}
    ordered = [verdicts[proof.unit] for proof in chosen]
    console.print(_table(ordered))
    failed = [verdict for verdict in ordered if not verdict.proven]
    for verdict in failed:
        trace = f"; counterexample: {verdict.trace}" if verdict.trace else ""
        console.print(f"{verdict.unit}: {verdict.fault}{trace}", style="red", soft_wrap=True, markup=False)
    if len(chosen) == len(PROOFS):
        record(
            "prove",
            {
                "prove.units": len(ordered),
                "prove.failed": len(failed),
                "prove.solver_s": round(sum(verdict.seconds for verdict in ordered), 1),
            },
        )
        if write:
            _refresh(ROOT / PAGE, ordered)
    raise typer.Exit(1 if failed else 0)


def _refresh(page: Path, verdicts) -> None:
    """Put the table between the page's two markers."""
    rows = []
    for verdict in verdicts:
        word = "proven" if verdict.proven else "FAILED"
        rows.append(f"| {verdict.unit} | {verdict.depth} | {verdict.seconds:.0f} | {word} |")
    table = "\n".join(["| unit | cycles deep | seconds | verdict |", "|---|---|---|---|", *rows])
    start, end = "<!-- proofs -->\n", "\n<!-- end of proofs -->"
    text = re.sub(f"{start}.*?{end}", lambda _: start + table + end, page.read_text(), flags=re.DOTALL)
    page.write_text(text)


def _table(verdicts):
    from rich.table import Table

    table = Table("unit", "cycles deep", "seconds", "verdict", title="Bounded proofs")
    for verdict in verdicts:
        word = "proven" if verdict.proven else "[red]FAILED[/]"
        when = " (earlier, unchanged since)" if verdict.cached else ""
        table.add_row(verdict.unit, str(verdict.depth), f"{verdict.seconds:.1f}", word + when)
    return table
