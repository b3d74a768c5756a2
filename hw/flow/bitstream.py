"""One build: a board, an overlay, a flow; products where the host looks for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from hw.boards.board import Board, FlowName
from hw.flow import ecp5, vivado, zynq7000
from hw.flow.area_check import check_memories
from hw.flow.cache import BuildCache
from hw.flow.products import deliver, folder_of
from hw.flow.timing import Placed
from hw.flow.tools import FlowError, MissingTool, Tool
from hw.overlay.base import Overlay
from hw.overlay.catalog import OVERLAYS
from hw.overlay.package import package
from hw.overlay.standalone_ids import StandaloneIds

__all__ = ["STANDALONE", "Product", "build_bitstream", "choose_flow", "missing", "tools_of"]

#: Systems for boards without a processor, by the name of the overlay that they stand for.
STANDALONE: dict[str, Callable[..., wiring.Component]] = {"ids": StandaloneIds.from_model}


@dataclass(frozen=True, kw_only=True)
class Product:
    """What a build left, and what is to be said of it."""

    bitstream: Path
    flow: FlowName
    fresh: bool
    placed: Placed | None  #: None where the vendor's reports say it
    netlist_hash: str | None
    reports: tuple[Path, ...] = ()


def tools_of(flow: FlowName) -> tuple[Tool, ...]:
    modules = {FlowName.ECP5: ecp5, FlowName.ZYNQ7000: zynq7000, FlowName.VIVADO: vivado}
    return modules[flow].TOOLS


def missing(flow: FlowName) -> tuple[str, ...]:
    """Names of programs, and of variables that should name a database, that the flow lacks here."""
    absent = [tool.name for tool in tools_of(flow) if tool.find() is None]
    if flow is FlowName.ZYNQ7000:
        absent += [f"${data.variable}" for data in zynq7000.DATABASES if data.path is None]
    return tuple(absent)


def choose_flow(board: Board, wanted: FlowName | None = None) -> FlowName:
    """The flow asked for, or the first of the board's that is installed; else a list of what is missing."""
    if wanted is not None:
        if wanted not in board.flows:
            names = ", ".join(flow.value for flow in board.flows)
            raise FlowError(f"board {board.name} has no flow {wanted.value!r}; it has {names}")
        return wanted
    for flow in board.flows:
        if not missing(flow):
            return flow
    lines = []
    for flow in board.flows:
        lines.append(f"  flow {flow.value}: {', '.join(missing(flow))}")
        lines += [f"    {tool.name}: {tool.remedy}" for tool in tools_of(flow) if tool.find() is None]
    raise MissingTool(f"no flow of board {board.name} is installed here. Missing:\n" + "\n".join(lines))


def build_bitstream(
    board: Board,
    overlay: str,
    *,
    flow: FlowName | None = None,
    clock_mhz: float | None = None,
    model: Path | None = None,
    seed: int = 1,
    cache: BuildCache | None = None,
    build_folder: Path | None = None,
) -> Product:
    """Build `overlay` for `board` and deliver it to build/overlays/<board>."""
    clock_mhz = clock_mhz or board.clock_mhz
    if board.flavour is None:
        make = _named(overlay, STANDALONE, f"board {board.name} has no processor; stand-alone systems")
        chosen = choose_flow(board, flow)
        return _standalone(board, overlay, make, clock_mhz, model, seed, cache, build_folder)
    make = _named(overlay, OVERLAYS, "overlays")
    chosen = choose_flow(board, flow)
    return _overlay(board, overlay, make(), chosen, clock_mhz, seed, cache, build_folder)


def _named(name: str, known: dict[str, Callable[..., Any]], what: str) -> Callable[..., Any]:
    if name not in known:
        raise FlowError(f"there is no overlay {name!r} for this board; {what}: {', '.join(known)}")
    return known[name]


def _standalone(
    board: Board,
    name: str,
    make: Callable[..., wiring.Component],
    clock_mhz: float,
    model: Path | None,
    seed: int,
    cache: BuildCache | None,
    build_folder: Path | None,
) -> Product:
    path = model or Path(__file__).parents[2] / "models" / "zoo" / "can_ids_ours.onnx"
    system = make(path, clock_hz=round(clock_mhz * 1e6))
    built = ecp5.build_with_luck(
        system,
        name=name,
        board=board,
        clock_mhz=clock_mhz,
        seed=seed,
        cache=cache,
        build_folder=build_folder,
    )
    check_memories(name, system, built.synthesised)
    _check_clock(board, name, built.placed)
    report = {"board": board.name, "part": board.part, "overlay": name, "model": path.name}
    return _deliver_open(board, name, FlowName.ECP5, built, report, {}, build_folder)


def _overlay(
    board: Board,
    name: str,
    overlay: Overlay,
    flow: FlowName,
    clock_mhz: float,
    seed: int,
    cache: BuildCache | None,
    build_folder: Path | None,
) -> Product:
    assert board.flavour is not None
    packed = package(overlay)
    hwh = {f"{name}.hwh": packed.hwh(board.flavour, clock_mhz=clock_mhz).encode()}
    report = {"board": board.name, "part": board.part, "overlay": name, "design": packed.digest}
    if flow is FlowName.VIVADO:
        bitstream, reports = vivado.build(packed, board=board, clock_mhz=clock_mhz, build_folder=build_folder)
        folder = folder_of(board, build=build_folder)
        extra = {f"{name}-{file}": content for file, content in reports.items()}
        deliver(folder, hwh | extra | _json(name, report) | {f"{name}.bit": bitstream})
        return Product(
            bitstream=folder / f"{name}.bit",
            flow=flow,
            fresh=True,
            placed=None,
            netlist_hash=None,
            reports=tuple(folder / file for file in extra),
        )
    built = zynq7000.build(
        overlay,
        digest=packed.digest,
        board=board,
        clock_mhz=clock_mhz,
        seed=seed,
        cache=cache,
        build_folder=build_folder,
    )
    _check_clock(board, name, built.placed)
    return _deliver_open(board, name, flow, built, report, hwh, build_folder)


def _deliver_open(
    board: Board,
    name: str,
    flow: FlowName,
    built: ecp5.Ecp5Build | zynq7000.Zynq7000Build,
    report: dict[str, Any],
    others: dict[str, bytes],
    build_folder: Path | None,
) -> Product:
    folder = folder_of(board, build=build_folder)
    report |= {"flow": flow.value, "netlist": built.netlist_hash, "timing": built.placed.as_dict()}
    report |= {"synthesised": dict(built.synthesised)}
    deliver(folder, others | _json(name, report) | {f"{name}.bit": built.bitstream})
    return Product(
        bitstream=folder / f"{name}.bit",
        flow=flow,
        fresh=built.fresh,
        placed=built.placed,
        netlist_hash=built.netlist_hash,
        reports=(folder / f"{name}.json",),
    )


def _json(name: str, report: dict[str, Any]) -> dict[str, bytes]:
    return {f"{name}.json": (json.dumps(report, indent=2) + "\n").encode()}


def _check_clock(board: Board, name: str, placed: Placed) -> None:
    """A bitstream too slow for its clock works on one desk and fails on another: none is delivered."""
    if not placed.met:
        raise FlowError(
            f"board {board.name}, overlay {name}: {placed.sentence}. No bitstream is delivered; try "
            f"another --seed, or build for --clock-mhz {int(placed.reached_mhz * 0.97)} or less"
        )
