"""The vendor's flow for every Zynq board, in batch: project, synthesis, implementation, bitstream, reports.

A build lives in build/vivado/<board>-<overlay>-<key>. The key is the hash of everything that goes into it, so
a build that is killed goes on from its last finished run, and other sources never meet an old project.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hw.boards.board import Board, FlowName
from hw.flow.block_design import DESIGN, block_design_tcl, constraints_xdc
from hw.flow.cache import content_key
from hw.flow.module_ports import block_wrapper, module_ports
from hw.flow.products import BUILD, log_of
from hw.flow.tools import FlowError, Tool, require, run
from hw.overlay.package import OverlayPackage

__all__ = ["TOOLS", "VERSIONS", "VivadoProject", "build", "project_files"]

#: Those whose commands these scripts were written from; others are tried, and named where they fail.
VERSIONS = ("2022.1", "2022.2", "2023.1", "2023.2", "2024.1", "2024.2", "2025.1", "2025.2")
VIVADO = Tool(
    names=("vivado",),
    remedy="install Vivado ML Standard (free for every board here) and source its settings64.sh",
    version_option="-version",
)
TOOLS = (VIVADO,)
REPORTS = ("timing.rpt", "utilisation.rpt", "power.rpt")


@dataclass(frozen=True, kw_only=True)
class VivadoProject:
    """Everything that Vivado reads, by file name."""

    files: dict[str, str]
    part: str

    @property
    def key(self) -> str:
        return content_key(part for item in sorted(self.files.items()) for part in item)


def project_files(package: OverlayPackage, *, board: Board, clock_mhz: float) -> VivadoProject:
    """Verilog, wrapper, constraints and the three scripts. The same for the same sources."""
    ports = module_ports(package.verilog, package.name)
    wrapper = f"{package.name}_block"
    design = block_design_tcl(package.description, ports, board=board, wrapper=wrapper, clock_mhz=clock_mhz)
    files = {
        f"{package.name}.v": package.verilog,
        f"{wrapper}.v": block_wrapper(ports, module=package.name, wrapper=wrapper),
        "pins.xdc": constraints_xdc(board, ports),
        "block_design.tcl": design,
        "create.tcl": _create_tcl(board.part, (f"{package.name}.v", f"{wrapper}.v")),
        "build.tcl": _build_tcl(package.name),
    }
    return VivadoProject(files=files, part=board.part)


def _create_tcl(part: str, sources: tuple[str, ...]) -> str:
    """Makes the project; `created` is written last and says that it is whole."""
    top = f"{DESIGN}_wrapper"
    block = f"project/overlay.srcs/sources_1/bd/{DESIGN}/{DESIGN}.bd"
    return f"""\
create_project -force overlay project -part {part}
add_files -norecurse {{{" ".join(sources)}}}
add_files -fileset constrs_1 -norecurse {{pins.xdc}}
update_compile_order -fileset sources_1
source block_design.tcl
add_files -norecurse [make_wrapper -files [get_files {block}] -top]
set_property top {top} [current_fileset]
update_compile_order -fileset sources_1
close_project
close [open created w]
"""


def _build_tcl(name: str) -> str:
    """Runs what is not finished, and fails where timing is not met."""
    return f"""\
open_project project/overlay.xpr
proc finish {{run args}} {{
    set stale [get_property NEEDS_REFRESH [get_runs $run]]
    if {{[get_property PROGRESS [get_runs $run]] ne "100%" || $stale}} {{
        reset_run $run
        launch_runs $run -jobs 4 {{*}}$args
        wait_on_run $run
    }}
    if {{[get_property PROGRESS [get_runs $run]] ne "100%"}} {{
        puts "ERROR: run $run ended with [get_property STATUS [get_runs $run]]"
        exit 1
    }}
}}
finish synth_1
finish impl_1 -to_step write_bitstream
open_run impl_1
report_timing_summary -file timing.rpt
report_utilization -hierarchical -file utilisation.rpt
report_power -file power.rpt
set slack [get_property STATS.WNS [get_runs impl_1]]
if {{$slack < 0}} {{
    puts "ERROR: timing is missed by [expr {{-$slack}}] ns; read timing.rpt, or build for a slower clock"
    exit 1
}}
file copy -force [glob project/overlay.runs/impl_1/{DESIGN}_wrapper.bit] {name}.partial
file rename -force {name}.partial {name}.bit
"""


def build(
    package: OverlayPackage, *, board: Board, clock_mhz: float, build_folder: Path | None = None
) -> tuple[bytes, dict[str, bytes]]:
    """The bitstream, and the vendor's reports by file name."""
    require(TOOLS, purpose=f"the flow {FlowName.VIVADO.value!r} of board {board.name}")
    project = project_files(package, board=board, clock_mhz=clock_mhz)
    # From the disk's root on: Vivado changes its working folder as it likes.
    folder = (
        (build_folder or BUILD) / "vivado" / f"{board.name}-{package.name}-{project.key[:12]}"
    ).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in project.files.items():
        (folder / name).write_text(text)
    bitstream = folder / f"{package.name}.bit"
    steps = ["build"] if (folder / "created").exists() else ["create", "build"]
    for step in [] if bitstream.exists() else steps:
        log = log_of(board, package.name, f"vivado-{step}", build=build_folder)
        arguments = ["-mode", "batch", "-nojournal", "-notrace", "-nolog", "-source", f"{step}.tcl"]
        try:
            run(VIVADO, arguments, folder=folder, log=log)
        except FlowError as error:
            where = f"board {board.name}, overlay {package.name}, step {step}{_untried(VIVADO.version)}"
            raise FlowError(f"{where}: {error}") from error
    if not bitstream.exists() or not bitstream.stat().st_size:
        raise FlowError(f"Vivado ended well and yet wrote no bitstream in {folder}")
    reports = {name: (folder / name).read_bytes() for name in REPORTS if (folder / name).exists()}
    return bitstream.read_bytes(), reports


def _untried(version: str) -> str:
    if any(f"v{known}" in version for known in VERSIONS):
        return ""
    return f" by {version!r}, where versions {VERSIONS[0]} to {VERSIONS[-1]} are known"
