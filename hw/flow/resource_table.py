"""Area of every unit in three families by one yosys, speed where place-and-route exists, beside estimates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from hw import resources
from hw.boards.catalog import board_named
from hw.dataflow.estimate import estimate, total
from hw.flow import ecp5
from hw.flow.area_check import check_area
from hw.flow.cache import BuildCache, content_key
from hw.flow.harness import Harness
from hw.flow.unit_catalog import Unit
from hw.resources import Area, without_brackets

__all__ = ["FAMILIES", "Row", "largest_error", "markdown", "measure", "stage_rows"]

#: Zynq-7000, UltraScale+, ECP5.
FAMILIES = ("xc7", "xcup", "ecp5")
STATISTICS = "cells.json"
LOADER = "loader and control"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of one unit. `lut` of ECP5 are LUT4, of the others LUT6."""

    name: str
    group: str
    areas: dict[str, Area]  #: by family
    fmax_mhz: float | None = None  #: in an ECP5 of speed grade 6, between registers
    critical_path: tuple[str, ...] = ()
    estimate_lut: float | None = None  #: for xc7
    peer: str = ""

    @property
    def error(self) -> float | None:
        """Of the estimate, against what was synthesised."""
        if self.estimate_lut is None:
            return None
        return self.estimate_lut / self.areas["xc7"].lut - 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"estimate_error": self.error}


def measure(
    unit: Unit,
    *,
    families: Iterable[str] = FAMILIES,
    place: bool = True,
    cache: BuildCache | None = None,
    build_folder: Path | None = None,
) -> Row:
    """Synthesise `unit`, or take what is kept of it; refuse one that lost its weights."""
    cache = cache or BuildCache()
    areas = {family: _area(unit, family, cache, build_folder) for family in families}
    expected = None
    if unit.pipeline is not None:
        expected = total(estimate(unit.pipeline)).lut
        check_area(unit.name, synthesised=areas["xc7"].lut, estimated=expected)
    placed = None
    if place and unit.placed:
        placed = ecp5.build_with_luck(
            Harness(unit.make()),
            name=unit.name.replace(" ", "-").replace(",", ""),
            board=board_named("ulx3s"),
            placed_pins=False,
            cache=cache,
            build_folder=build_folder,
        ).placed
    return Row(
        name=unit.name,
        group=unit.group,
        areas=areas,
        fmax_mhz=placed.reached_mhz if placed else None,
        critical_path=placed.critical_path if placed else (),
        estimate_lut=expected,
        peer=unit.peer,
    )


def _area(unit: Unit, family: str, cache: BuildCache, build_folder: Path | None) -> Area:
    text = without_brackets(rtlil.convert(unit.make(), emit_src=False))
    if family == "ecp5":
        log = (build_folder or Path("build")) / "logs" / "resources" / f"{unit.name}.log"
        folder = ecp5.synthesise(text, ecp5.SYNTHESIS, cache=cache, log=log.absolute()).path
        return ecp5_area(ecp5.cell_counts(folder / "stat.json"))

    def build_in(folder: Path) -> None:
        counts = resources.cells(unit.make(), family)
        (folder / STATISTICS).write_text(json.dumps(counts))

    # The functions that run yosys belong to the key: they hold the script.
    recipe = Path(resources.__file__).read_text()
    built = cache.get(content_key([ecp5.YOSYS.version, recipe, family, text]), build_in)
    return Area.of_cells(json.loads((built.path / STATISTICS).read_text()))


def ecp5_area(cells: dict[str, int]) -> Area:
    """ECP5 primitives in the same words: LUT4, a carry cell being two of them, a small memory four."""
    small, blocks = cells.get("TRELLIS_DPR16X4", 0), cells.get("DP16KD", 0)
    return Area(
        lut=cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * small,
        lutram=4 * small,
        ff=cells.get("TRELLIS_FF", 0),
        ramb36=blocks / 2,
        dsp=cells.get("MULT18X18D", 0),
        carry=cells.get("CCU2C", 0),
    )


def stage_rows(unit: Unit, *, cache: BuildCache | None = None, build_folder: Path | None = None) -> list[Row]:
    """A row for each stage of a Judge: its modules are synthesised one by one."""
    assert unit.pipeline is not None
    cache = cache or BuildCache()
    text = without_brackets(rtlil.convert(unit.make(), emit_src=False))
    modules = re.findall(r"^module \\(top\.loader|top\.pipeline\.\w+)$", text, re.M)
    log = (build_folder or Path("build")) / "logs" / "resources" / f"{unit.name}-stages.log"
    areas: dict[str, dict[str, Area]] = {}
    for family in FAMILIES:
        script = _stage_script(modules, family)
        folder = ecp5.synthesise(text, script, cache=cache, log=log.absolute()).path
        for module in modules:
            cells = ecp5.cell_counts(folder / f"{module}.json")
            area = ecp5_area(cells) if family == "ecp5" else Area.of_cells(cells)
            of_stage = areas.setdefault(_stage_of(module), {})
            of_stage[family] = _sum(of_stage[family], area) if family in of_stage else area
    rows = []
    for line in estimate(unit.pipeline):
        name = f"{unit.name}: {line.name}"
        check_area(name, synthesised=areas[line.name]["xc7"].lut, estimated=line.lut)
        rows.append(Row(name=name, group=unit.group, areas=areas[line.name], estimate_lut=line.lut))
    return rows


def _sum(one: Area, other: Area) -> Area:
    return Area(
        **{field.name: getattr(one, field.name) + getattr(other, field.name) for field in fields(Area)}
    )


def _stage_script(modules: list[str], family: str) -> str:
    synthesis = "synth_ecp5 -abc9" if family == "ecp5" else f"synth_xilinx -family {family} -flatten -noiopad"
    lines = ["read_rtlil top.il", "design -save all"]
    for module in modules:
        lines += ["design -load all", f"{synthesis} -top {module}", f"tee -q -o {module}.json stat -json"]
    # What `ecp5.synthesise` looks for at the end.
    lines += ["write_json top.json", "tee -q -o stat.json stat -json"]
    return "\n".join(lines) + "\n"


def _stage_of(module: str) -> str:
    """The stage of a module, as the estimate calls it."""
    unit = module.rsplit(".", 1)[1]
    layer = re.fullmatch(r"(?:dense|regroup|repeat|threshold)(\d+)", unit)
    if layer:
        return f"layer {layer[1]}"
    return "window" if unit.startswith("window") else {"arg_max": "verdict"}.get(unit, LOADER)


def largest_error(rows: Iterable[Row]) -> float | None:
    """The worst of all estimates, as a fraction; None where there are none."""
    errors = [abs(row.error) for row in rows if row.error is not None]
    return max(errors) if errors else None


def markdown(rows: Iterable[Row]) -> str:
    """The table of the docs."""
    lines = [
        "| unit | LUT6 xc7 | FF | RAMB36 | DSP | LUT6 xcup | LUT4 ecp5 | Fmax ecp5, MHz "
        "| estimate, LUT6 | error |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            lines.append(f"| **{group}** | | | | | | | | | |")
        xc7, xcup, small = (row.areas[family] for family in FAMILIES)
        fmax = f"{row.fmax_mhz:.1f}" if row.fmax_mhz else ""
        estimate = f"{row.estimate_lut:,.0f}" if row.estimate_lut is not None else ""
        error = f"{row.error:+.1%}" if row.error is not None else ""
        lines.append(
            f"| {row.name} | {xc7.lut:,} | {xc7.ff:,} | {xc7.ramb36:g} | {xc7.dsp} | {xcup.lut:,} "
            f"| {small.lut:,} | {fmax} | {estimate} | {error} |"
        )
    notes = [f"- {row.name}: {row.peer}." for row in rows if row.peer]
    notes += [
        f"- {row.name}: slowest path {' -> '.join(row.critical_path)}." for row in rows if row.critical_path
    ]
    return "\n".join([*lines, "", *notes]) + "\n"
