"""The open flow for Zynq-7020: yosys, nextpnr with a Xilinx back end, project X-Ray.

No package ships these programs with their databases; where a user has them, this uses them. Figures of timing
are those of a model that leaves some delays out, so a design that only just meets its clock
may miss it on a board.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import rtlil

from hw.boards.board import Board, FlowName
from hw.flow.bitfile import BitFile
from hw.flow.cache import BuildCache, content_key
from hw.flow.ecp5 import YOSYS, cell_counts, synthesise
from hw.flow.processor7 import Processor7Top
from hw.flow.products import log_of, netlist_hash
from hw.flow.timing import Placed, read_report
from hw.flow.tools import FlowError, MissingTool, Tool, require, run
from hw.overlay.base import Overlay

__all__ = ["DATABASES", "TOOLS", "Database", "Zynq7000Build", "build", "require_databases"]

_BUILD_IT = "build nextpnr with -DARCH=himbaechel -DHIMBAECHEL_UARCH=xilinx, or take openXC7's"
_XRAY = "build it from github.com/f4pga/prjxray, or take openXC7's packages"
NEXTPNR = Tool(names=("nextpnr-himbaechel", "nextpnr-xilinx"), remedy=_BUILD_IT)
FASM_TO_FRAMES = Tool(names=("fasm2frames", "fasm2frames.py"), remedy=_XRAY, version_option="--help")
FRAMES_TO_BIT = Tool(names=("xc7frames2bit",), remedy=_XRAY, version_option="--help")
TOOLS = (YOSYS, NEXTPNR, FASM_TO_FRAMES, FRAMES_TO_BIT)

SYNTHESIS = (
    "read_rtlil top.il\nsynth_xilinx -family xc7 -flatten -abc9 -top top\n"
    # Names of scopes, which older versions of nextpnr take for cells.
    "delete t:$scopeinfo\nwrite_json top.json\ntee -q -o stat.json stat -json\n"
)


@dataclass(frozen=True, kw_only=True)
class Database:
    """Data that a program needs, in a place that an environment variable names."""

    variable: str
    content: str
    example: str  #: a file in it, relative, that must be there; empty where the variable names a file

    @property
    def path(self) -> Path | None:
        given = os.environ.get(self.variable)
        if not given or not (Path(given) / self.example).exists():
            return None
        return Path(given).absolute()


CHIP = Database(variable="NEXTPNR_CHIPDB", content="nextpnr's chip database, chipdb-xc7z020.bin", example="")
XRAY = Database(
    variable="PRJXRAY_DB_DIR",
    content="project X-Ray's database, the folder that holds zynq7/",
    example="zynq7/xc7z020clg400-1/part.yaml",
)
DATABASES = (CHIP, XRAY)


@dataclass(frozen=True, kw_only=True)
class Zynq7000Build:
    """A bitstream made without the vendor."""

    bitstream: bytes
    placed: Placed
    synthesised: dict[str, int]
    netlist_hash: str
    fresh: bool


def require_databases() -> None:
    missing = [database for database in DATABASES if database.path is None]
    if missing:
        lines = "\n".join(f"  {data.variable}: {data.content}" for data in missing)
        raise MissingTool(
            f"the flow {FlowName.ZYNQ7000.value!r} needs the path of databases in variables:\n{lines}"
        )


def build(
    overlay: Overlay,
    *,
    digest: str,
    board: Board,
    clock_mhz: float,
    seed: int = 1,
    cache: BuildCache | None = None,
    build_folder: Path | None = None,
) -> Zynq7000Build:
    """Synthesise, place, route and pack; each step kept by the hash of what it is made from."""
    name = overlay.description.name
    require(TOOLS, purpose=f"the flow {FlowName.ZYNQ7000.value!r} of board {board.name}")
    require_databases()
    top, cache = Processor7Top(overlay), cache or BuildCache()
    text = rtlil.convert(top, name="top", ports=top.ports, emit_src=False)
    constraints = constraints_xdc(board, top.widths)

    def log(step: str) -> Path:
        return log_of(board, name, step, build=build_folder)

    synthesis = synthesise(text, SYNTHESIS, cache=cache, log=log("synthesis"))
    netlist = (synthesis.path / "top.json").read_bytes()
    arguments = placement_arguments(board, clock_mhz=clock_mhz, seed=seed)
    routed = cache.get(
        content_key([NEXTPNR.version, constraints, *arguments, netlist]),
        lambda folder: _place(folder, netlist, constraints, arguments, log("place-and-route")),
    )
    packed = cache.get(
        content_key([board.part, FRAMES_TO_BIT.version, (routed.path / "top.fasm").read_bytes()]),
        lambda folder: _pack(folder, routed.path / "top.fasm", board.part, log),
    )
    container = BitFile.parse((packed.path / "top.bit").read_bytes(), name=f"{name}.bit")
    return Zynq7000Build(
        bitstream=container.stamped(design=name, digest=digest).to_bytes(),
        placed=read_report(json.loads((routed.path / "report.json").read_text()), clock_mhz=clock_mhz),
        synthesised=cell_counts(synthesis.path / "stat.json"),
        netlist_hash=netlist_hash(synthesis.path / "top.json"),
        fresh=synthesis.fresh or routed.fresh or packed.fresh,
    )


def constraints_xdc(board: Board, ports: dict[str, int]) -> str:
    """One property a line: nextpnr's reader of XDC knows little more."""
    lines = []
    for name, pin in board.pins_of(ports):
        lines.append(f"set_property LOC {pin.ball} [get_ports {{{name}}}]")
        lines.append(f"set_property IOSTANDARD {pin.standard} [get_ports {{{name}}}]")
    return "\n".join(lines) + "\n"


def placement_arguments(board: Board, *, clock_mhz: float, seed: int) -> list[str]:
    """For whichever nextpnr is installed; the older one takes files by other options."""
    found = NEXTPNR.find()
    chip = ["--chipdb", str(CHIP.path)]
    common = [
        "--json",
        "top.json",
        "--freq",
        f"{clock_mhz:g}",
        "--seed",
        str(seed),
        "--report",
        "report.json",
    ]
    common.append("--timing-allow-fail")
    if found is not None and found.name == "nextpnr-xilinx":
        return [*chip, "--xdc", "top.xdc", "--fasm", "top.fasm", *common]
    return ["--device", board.part, *chip, "-o", "xdc=top.xdc", "-o", "fasm=top.fasm", *common]


def _place(folder: Path, netlist: bytes, constraints: str, arguments: list[str], log: Path) -> None:
    (folder / "top.json").write_bytes(netlist)
    (folder / "top.xdc").write_text(constraints)
    run(NEXTPNR, arguments, folder=folder, log=log)
    for name in ("top.fasm", "report.json"):
        if not (folder / name).is_file():
            raise FlowError(f"nextpnr ended well and yet wrote no {name}; read {log}")
    (folder / "top.json").unlink()


def _pack(folder: Path, fasm: Path, part: str, log) -> None:
    assert XRAY.path is not None
    family = XRAY.path / "zynq7"
    (folder / "top.fasm").write_bytes(fasm.read_bytes())
    frames: list[str | Path] = ["--db-root", family, "--part", part, "top.fasm", "top.frames"]
    run(FASM_TO_FRAMES, frames, folder=folder, log=log("frames"))
    pack: list[str | Path] = ["--part_file", family / part / "part.yaml", "--part_name", part]
    pack += ["--frm_file", "top.frames", "--output_file", "top.bit"]
    run(FRAMES_TO_BIT, pack, folder=folder, log=log("pack"))
    if not (folder / "top.bit").is_file():
        raise FlowError(f"xc7frames2bit ended well and yet wrote no bitstream; read {log('pack')}")
    (folder / "top.fasm").unlink()
    (folder / "top.frames").unlink(missing_ok=True)
