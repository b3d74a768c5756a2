"""Engines by the name that a command line gives: the only place that knows a simulated board from another."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.detect.engines import Engine
    from host.tile import TileBinary
    from models.detector.zoo import Detector
    from sim.board import SimulatedBoard

__all__ = ["BOARDS", "OpenedEngine", "SizeRefused", "board_preset", "open_engine", "size_of", "tile_binary"]

#: Boards with an image of PYNQ, as that image names them, and the preset that their part takes.
BOARDS = {"Pynq-Z2": "z7020", "Ultra96": "zu3eg", "KV260": "zu3eg", "ZCU104": "zu7ev"}
#: What the simulated board waits for a frame, in seconds by the clock: hours for the largest preset.
SIMULATION_TIMEOUT_S = 6 * 3600.0
SIMULATION_BUDGET_CYCLES = 500_000_000


class SizeRefused(ValueError):
    """A size of the canvas that no detector has."""


@dataclass(frozen=True)
class OpenedEngine:
    """An engine of the pipeline, and the simulated board under it where there is one."""

    engine: Engine
    simulation: SimulatedBoard | None = None
    preset: str = ""
    foreseen_cycles: int = 0  #: of a frame, by the compiler


def size_of(text: str) -> tuple[int, int]:
    """(height, width) of 512 or 640x384, width first as everywhere."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() for part in parts):
        raise SizeRefused(f"a size is a number such as 512, or width x height such as 640x384, not {text!r}")
    width, height = int(parts[0]), int(parts[-1])
    if any(side % 32 or side < 32 for side in (height, width)):
        raise SizeRefused(f"the sides of the canvas must be multiples of 32, not {text!r}")
    return height, width


def board_preset(name: str) -> tuple[str, str]:
    """Name as PYNQ writes it and preset of a real board; `pynq` is the one that this program runs on."""
    here = os.environ.get("BOARD", "")
    wanted = here if name == "pynq" else name
    slugs = {_slug(one): one for one in BOARDS}
    if name == "pynq" and not here:
        raise ValueError("this machine is no PYNQ board: its image would name it in BOARD; try --board sim")
    if _slug(wanted) not in slugs:
        raise ValueError(f"--board is model, sim, pynq, {', '.join(BOARDS)}, not {wanted!r}")
    found = slugs[_slug(wanted)]
    if _slug(here) != _slug(found):
        where = f"it is a {here}" if here else "it is no PYNQ board at all"
        raise ValueError(
            f"run this on the {found} itself: {where}; or try --board sim --preset {BOARDS[found]}"
        )
    return found, BOARDS[found]


@contextlib.contextmanager
def open_engine(
    kind: str,
    detector: Detector,
    size: tuple[int, int],
    *,
    preset: str = "",
    binary: Path | None = None,
    compare: bool = False,
    stalls: float = 0.0,
    profile_every: int = 0,
) -> Iterator[OpenedEngine]:
    """`kind` is model, sim, pynq or a board's name; without `binary` the network is compiled for `preset`."""
    from host.detect.engines import ComparedEngine, ModelEngine

    with contextlib.ExitStack() as stack:
        if kind == "model":
            opened = OpenedEngine(ModelEngine(detector, size))
        else:
            name, own = ("sim", "sim") if kind == "sim" else board_preset(kind)
            program = tile_binary(detector, size, preset or own, binary)
            opened = _on_tile(stack, name, program, detector, size, stalls, profile_every)
        if compare:
            opened = replace(opened, engine=ComparedEngine(opened.engine, ModelEngine(detector, size)))
        with _failures_of_the_simulation(opened):
            yield opened


@contextlib.contextmanager
def _failures_of_the_simulation(opened: OpenedEngine) -> Iterator[None]:
    if opened.simulation is None:
        yield
        return
    from host.detect.engines import EngineFailure
    from sim.board import BoardError

    try:
        yield
    except BoardError as error:
        raise EngineFailure(str(error)) from error


def _on_tile(
    stack: contextlib.ExitStack,
    name: str,
    binary: TileBinary,
    detector: Detector,
    size: tuple[int, int],
    stalls: float,
    profile_every: int,
) -> OpenedEngine:
    from models.detector.cost import resized

    made_for = 2 * binary.header["input"]["tensor"][1], 2 * binary.header["input"]["tensor"][2]
    if made_for != size:
        raise SizeRefused(
            f"the binary is for a canvas of {made_for[1]}x{made_for[0]}, not {size[1]}x{size[0]}"
        )
    simulation, preset = None, str(binary.header["engine"])
    if name == "sim":
        from hw.overlay.tile import TileOverlay
        from sim.board import MemoryModel, simulated_board

        simulation = stack.enter_context(
            simulated_board(
                TileOverlay(preset=preset),
                memory=MemoryModel(latency=40, stalls=stalls),
                budget_cycles=SIMULATION_BUDGET_CYCLES,
                dram_bytes=2 * binary.arena_bytes + len(binary.code) + (8 << 20),
            )
        )
    from host.detect.fabric import TileEngine

    engine = TileEngine(
        binary,
        resized(detector.program, size).outputs,
        timeout_s=SIMULATION_TIMEOUT_S if simulation else 10.0,
        profile_every=profile_every,
    )
    stack.callback(engine.close)
    foreseen = sum(int(layer["cycles"]) for layer in binary.header["layers"])
    return OpenedEngine(engine, simulation, preset, foreseen)


def tile_binary(
    detector: Detector, size: tuple[int, int], preset: str, path: Path | None = None
) -> TileBinary:
    """The network as a file has it, or compiled now."""
    from host.tile import TileBinary

    if path is not None:
        return TileBinary.read(path)
    from hw.tile.compile import compile_program
    from models.detector.cost import resized

    return TileBinary.parse(compile_program(resized(detector.program, size), preset).binary)


def _slug(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
