"""What `make resources` measures: units, the layers of the shipped networks, and overlays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from hw.bus.axi_lite import AXI4LiteDecoder
from hw.bus.interrupt_controller import InterruptController
from hw.bus.reader import Reader
from hw.bus.writer import Writer
from hw.can.guard import Guard
from hw.can.receiver import Receiver
from hw.dataflow.folding import fold
from hw.dataflow.judge import Judge
from hw.overlay.catalog import OVERLAYS
from hw.overlay.description import CONTROL_ADDR_BITS, INTERRUPTS, REGISTERS
from hw.overlay.standalone_ids import StandaloneIds
from hw.stream.fifo import Fifo
from hw.stream.skid_buffer import SkidBuffer
from models.program import load
from models.program.pipeline_shape import PipelineShape

__all__ = ["ZOO", "Unit", "all_units"]

ZOO = Path(__file__).parents[2] / "models" / "zoo"
#: Bits of a value, cycles to take one and cycles for a verdict, by how a model takes frames. At 1 Mbit/s and
#: 100 MHz a bit takes 100 cycles, a byte 800, and the CRC, in which the verdict must come, 1,500.
FOLDINGS = {"bits": (1, 8, 256), "bytes": (8, 800, 1400)}

#: Overlays that are worth minutes of place-and-route.
PLACED = ("copy", "ids")
PUBLISHED = (
    "the published accelerator of this kind (FINN on XCZU7EV, Vivado, without the CAN controller) takes "
    "3,999 LUT, 4,524 FF and 4 block RAMs"
)


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A row of the table."""

    name: str
    make: Callable[[], wiring.Component]
    group: str  #: heading that it stands under
    pipeline: PipelineShape | None = None  #: of a Judge, whose stages are estimated one by one
    placed: bool = False  #: whether it is worth placing and routing
    peer: str = ""  #: published figure to put beside it


def all_units() -> Iterator[Unit]:
    yield from _plumbing()
    for path in sorted(ZOO.glob("can_ids_*.onnx")):
        yield from _network(path)
    for name, make in OVERLAYS.items():
        yield Unit(name=f"overlay {name}", make=make, group="overlays", placed=name in PLACED)
    ours = ZOO / "can_ids_ours.onnx"
    yield Unit(
        name="stand-alone ids",
        make=lambda: StandaloneIds.from_model(ours),
        group="overlays",
        peer=PUBLISHED,
    )


def _plumbing() -> Iterator[Unit]:
    windows = {"registers": REGISTERS, "interrupts": INTERRUPTS}
    makers: dict[str, Callable[[], wiring.Component]] = {
        "skid buffer, 32 bits": lambda: SkidBuffer(shape=32),
        "queue, 16 x 32 bits": lambda: Fifo(shape=32, depth=16),
        "DMA reader, 64 bits": lambda: Reader(data_bits=64, outstanding=8),
        "DMA writer, 64 bits": lambda: Writer(data_bits=64, outstanding=8),
        "AXI4-Lite decoder": lambda: AXI4LiteDecoder(addr_bits=CONTROL_ADDR_BITS, windows=windows),
        "interrupt controller, 3 inputs": lambda: InterruptController(inputs=3),
        "CAN guard": lambda: Guard(burst=8, interval_cycles=10_000_000),
    }
    for name, make in makers.items():
        yield Unit(name=name, make=make, group="units")
    yield Unit(
        name="CAN receiver, 48-bit time",
        make=lambda: Receiver(timestamp_bits=48),
        group="units",
        placed=True,
    )


def folded(path: Path) -> PipelineShape:
    """A network of the zoo in the folding of the overlay."""
    encoding = json.loads(path.with_suffix(".json").read_text())["encoding"]
    program = load(path, style="thresholds")
    value_bits, value_cycles, judge_cycles = FOLDINGS[encoding["kind"]]
    return fold(
        program,
        judge_cycles=judge_cycles,
        slots=encoding["window"],
        value_bits=value_bits,
        value_cycles=value_cycles,
    )


def _network(path: Path) -> Iterator[Unit]:
    name = path.stem.removeprefix("can_ids_")
    shape = folded(path)
    yield Unit(
        name=f"{name}, judge",
        make=lambda: Judge(shape=shape),
        group=f"network {name}",
        pipeline=shape,
        placed=name == "ours",
        peer=PUBLISHED if name == "published" else "",
    )
