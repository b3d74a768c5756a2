"""The `ids` overlay as its contract describes it, in Python, behind the real pynq: registers, ring, all.

The tests that take `rig` see a board; nothing of the driver is replaced.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from host.ids.records import FRAME, UNJUDGED, VERDICT, pack
from host.ids.weights import PARAMETER, model_hash
from hw.bus.interrupt_controller import InterruptControllerModel
from hw.bus.register_bank import RegisterBankModel
from hw.bus.register_map import Access, Counter, Field, Register
from hw.dataflow.folding import fold
from hw.overlay.catalog import OVERLAYS
from hw.overlay.description import OverlayDescription
from hw.overlay.hwh import Flavour
from hw.overlay.package import OverlayPackage, package
from models.can_ids.frames import Frames
from models.can_ids.zoo import CanModel, load_model
from models.program import load
from models.program.image import HEADER_WORDS, MAGIC
from models.program.pipeline_shape import PipelineShape
from sim.board.board import Board
from sim.board.device import SimulatedDevice
from sim.board.memory import MemoryModel
from sim.board.session import _install

KEY = 0x4B494C4C
CYCLES_PER_FRAME = 40
RO = Access.READ_ONLY


def _address(name: str) -> tuple[Register, Register]:
    return Register.word(f"{name}_LO"), Register.word(f"{name}_HI", bits=8)


def _fields(name: str, access: Access, **bits: int) -> Register:
    fields = [Field(name=field, bits=width, access=access) for field, width in bits.items()]
    return Register(name=name, fields=fields)


DESCRIPTION = OverlayDescription(
    name="ids",
    version=(1, 0),
    errors=("read", "write", "weights"),
    interrupts=("done", "verdicts", "alert"),
    memory_data_bits=64,
    registers=(
        _fields("CONTROL", Access.PULSE, REPLAY=1, DISCARD_WINDOW=1, ABANDON_WEIGHTS=1),
        _fields("MODE", Access.READ_WRITE, CAN_ENABLE=1, RING_ALL=1, GUARD_ENABLE=1),
        *_address("REPLAY"),
        Register.word("REPLAY_COUNT"),
        Register.word("REPLAY_DONE", access=RO),
        *_address("RING"),
        Register.word("RING_SIZE"),
        Register.word("RING_HEAD", access=RO),
        Register.word("RING_TAIL"),
        Counter(name="RING_DROPPED"),
        Register.word("ALERT_CLASSES"),
        Register.word("SCORE_THRESHOLD", bits=16),
        _fields("MODERATION", Access.READ_WRITE, COUNT=8, TIME=24),
        *(Register.word(f"ALERT_{index}", access=RO) for index in range(8)),
        _fields("ALERT_STATE", RO, LEVEL=5, LOST=16),
        Register.word("ALERT_POP", bits=1, access=Access.PULSE),
        _fields("BIT_TIMING", Access.READ_WRITE, PRESCALER=8, TSEG1=5, TSEG2=4, SJW=4),
        Register.word("GUARD_KEY"),
        Register.word("GUARD_CLASSES"),
        Register.word("GUARD_BUDGET", access=Access.CONSTANT, reset=8),
        Register.word("GUARD_INTERVAL", access=Access.CONSTANT, reset=10_000_000),
        _fields("GUARD_STATE", RO, UNLOCKED=1, LOCKED_OUT=1),
        Register.word("WEIGHTS"),
        _fields("WEIGHTS_STATE", RO, VALID=1, LOADING=1, REFUSED_SHAPE=1, REFUSED_CRC=1),
        Register.word("MODEL_HASH_LO", access=RO),
        Register.word("MODEL_HASH_HI", access=RO),
        Register.word("SHAPE_HASH", access=RO),
        *(
            Counter(name=name)
            for name in (
                *("FRAMES_ACCEPTED", "FRAMES_REJECTED", "FRAMES_UNJUDGED", "FRAMES_LOST", "FRAMES_FD"),
                *("ERRORS_STUFF", "ERRORS_CRC", "ERRORS_FORM", "OVERLOADS"),
                *(f"CLASS_{index}" for index in range(5)),
                *("KILLS", "KILLS_REFUSED", "KILLS_TOO_LATE"),
            )
        ),
        Register.word("LATENCY_MAX", access=RO),
    ),
)


class OverlayModel:
    """What the gateware does, an access at a time; `cycle` grows as the board lets time go by."""

    def __init__(self, model: CanModel, shape: PipelineShape, dram: np.ndarray, dram_base: int):
        self.bank = RegisterBankModel(DESCRIPTION.register_map.with_constants(DESIGN_HASH=0x1234))
        self.intc = InterruptControllerModel(inputs=len(DESCRIPTION.interrupts))
        self.cycle = 0
        self.model, self.shape = model, shape
        self.dram, self.dram_base = dram, dram_base
        self.words: list[int] = []  # of the image that comes in
        self.state = {"valid": 1, "loading": 0, "refused_shape": 0, "refused_crc": 0}
        self.hash = int(model_hash(model), 16)
        self.hang = False
        self._reset()

    def _reset(self) -> None:
        self.bank.clear()
        self.head = self.sequence = 0
        self.alerts: list[bytes] = []
        self.lost = 0
        self.unseen = 0  # records that the moderated interrupt has not told of
        self.history = Frames.zeros(self.model.encoding.window - 1)
        self.done_at: int | None = None

    # What the board calls

    def read(self, offset: int) -> int:
        self._drive()
        if offset >= 0x1000:
            return self.intc.read(offset - 0x1000)[0]
        return self.bank.read(offset)[0]

    def write(self, offset: int, value: int) -> None:
        if offset >= 0x1000:
            self.intc.write(offset - 0x1000, value)
            return
        self.bank.write(offset, value)
        pulses, name = self.bank.pulses, self.bank.registers.registers[offset // 4].name
        if pulses["soft_reset"]:
            self._reset()
        if pulses["control_discard_window"]:
            self.history = Frames.zeros(self.model.encoding.window - 1)
        if pulses["control_abandon_weights"]:
            self.words = []
            self.state["loading"] = 0
        if pulses["control_replay"]:
            self.done_at = self.cycle + CYCLES_PER_FRAME * self.bank.outputs["replay_count"]
        if pulses["alert_pop"] and self.alerts:
            self.alerts.pop(0)
        if name == "WEIGHTS":
            self._weights(value)

    def run(self, cycles: int) -> None:
        self.cycle += cycles
        self.bank.count("CYCLES", cycles)
        if self.done_at is not None and self.cycle >= self.done_at and not self.hang:
            self.done_at = None
            self._replay()
        self._drive()

    def run_until_interrupt(self, cycles: int) -> bool:
        for _ in range(0, cycles, 256):
            self._drive()
            if self.intc.interrupt:
                return True
            self.run(256)
        return self.intc.interrupt

    def close(self) -> None:
        pass

    def configure(self, _memory: MemoryModel) -> None:
        pass

    def statistics(self) -> dict:
        return {}

    # What it does

    def hear(self, frames: Frames) -> None:
        """Frames on the pins; frames on deaf pins are not there."""
        if self.bank.outputs["mode_can_enable"]:
            self._judge(pack(frames), pins=True)

    def _replay(self) -> None:
        address = self.bank.outputs["replay_lo"] | self.bank.outputs["replay_hi"] << 32
        nbytes = self.bank.outputs["replay_count"] * FRAME.itemsize
        start = address - self.dram_base
        if not 0 <= start <= start + nbytes <= len(self.dram):
            self.bank.set("error_read", 1)
            self.bank.inputs["error_addr_lo"], self.bank.inputs["error_addr_hi"] = (
                address & 0xFFFF_FFFF,
                address >> 32,
            )
        else:
            self._judge(self.dram[start : start + nbytes].view(FRAME), pins=False)
        self.bank.set("interrupt_done", 1)

    def _judge(self, records: np.ndarray, *, pins: bool) -> None:
        count = len(records)
        out = np.zeros(count, VERDICT)
        for name in ("identifier", "flags", "dlc", "data"):
            out[name] = records[name]
        out["flags"] |= 4 if pins else 0
        out["verdict"] = UNJUDGED
        out["timestamp"] = self.cycle + CYCLES_PER_FRAME * np.arange(count)
        out["sequence"] = self.sequence + np.arange(count)
        defined = np.flatnonzero((records["flags"] & 3) == 0)
        self._decide(out, defined)
        self.sequence += count
        self.bank.count("FRAMES_ACCEPTED", count)
        self.bank.count("FRAMES_UNJUDGED", count - len(defined))
        for index in range(5):
            self.bank.count(f"CLASS_{index}", int((out["verdict"] == index).sum()))
        for record in out:
            self._deliver(record)

    def _decide(self, out: np.ndarray, rows: np.ndarray) -> None:
        if not len(rows):
            return
        new = Frames.zeros(len(rows))
        new.identifier[:], new.data[:] = out["identifier"][rows], out["data"][rows]
        frames = Frames.concatenate([self.history, new])
        self.history = frames[len(rows) :]
        logits = self.model.logits(frames)
        best_attack = logits[:, 1:].max(axis=1)
        verdict = logits.argmax(axis=1)
        score = best_attack - logits[:, 0]
        threshold = np.array(self.bank.outputs["score_threshold"], np.uint16).view(np.int16)
        enabled = self.bank.outputs["alert_classes"] >> verdict & 1
        out["verdict"][rows], out["score"][rows] = verdict, score
        out["alert"][rows] = (verdict > 0) & (enabled == 1) & (score >= threshold)

    def _deliver(self, record: np.void) -> None:
        if record["alert"]:
            if len(self.alerts) < 16:
                self.alerts.append(record.tobytes())
            else:
                self.lost += 1
            self.bank.set("interrupt_alert", 1)
        if not (record["alert"] or self.bank.outputs["mode_ring_all"]):
            return
        size, tail = self.bank.outputs["ring_size"], self.bank.outputs["ring_tail"]
        if self.head - tail & 0xFFFF_FFFF >= size:
            self.bank.count("RING_DROPPED", 1)
            return
        base = self.bank.outputs["ring_lo"] | self.bank.outputs["ring_hi"] << 32
        at = base - self.dram_base + self.head % size * VERDICT.itemsize
        self.dram[at : at + VERDICT.itemsize] = np.frombuffer(record.tobytes(), np.uint8)
        self.head = self.head + 1 & 0xFFFF_FFFF
        self.unseen += 1
        if self.unseen >= max(1, self.bank.outputs["moderation_count"]):
            self._tell()

    def _tell(self) -> None:
        self.unseen = 0
        self.bank.set("interrupt_verdicts", 1)

    def _weights(self, word: int) -> None:
        self.words.append(word)
        first = self.words
        if len(first) == 1:
            self.state |= {"refused_shape": int(word != MAGIC), "refused_crc": 0, "loading": 1}
        refused = first[0] != MAGIC or (len(first) == 2 and first[1] != self.shape.digest)
        if refused:
            self.state |= {"refused_shape": 1, "loading": 0}
            self.words = []
            return
        if len(first) == HEADER_WORDS:
            self.state["valid"] = 0
            self.hash = first[2] | first[3] << 32
        if len(first) == HEADER_WORDS + self.shape.payload_words + 1:
            body = np.array(first[:-1], "<u4").tobytes()
            good = zlib.crc32(body) == first[-1]
            self.state |= {"valid": int(good), "refused_crc": int(not good), "loading": 0}
            self.words = []

    def _drive(self) -> None:
        inputs, outputs = self.bank.inputs, self.bank.outputs
        if self.unseen and self.cycle:  # the time of the moderation is over as soon as anybody looks
            self._tell()
        inputs |= {"ring_head": self.head, "status_busy": int(self.done_at is not None)}
        inputs |= {"model_hash_lo": self.hash & 0xFFFF_FFFF, "model_hash_hi": self.hash >> 32}
        inputs |= {f"weights_state_{name}": value for name, value in self.state.items()}
        inputs |= {"shape_hash": self.shape.digest, "latency_max": 57}
        inputs |= {"guard_state_unlocked": int(outputs["guard_key"] == KEY)}
        inputs |= {"alert_state_level": len(self.alerts), "alert_state_lost": self.lost}
        oldest = np.frombuffer(self.alerts[0], "<u4").tolist() if self.alerts else [0] * 8
        inputs |= {f"alert_{index}": word for index, word in enumerate(oldest)}
        levels = 0
        for bit, name in enumerate(DESCRIPTION.interrupts):
            inputs[f"status_irq_{name}"] = level = outputs[f"interrupt_{name}"]
            levels |= level << bit
        for name in DESCRIPTION.causes:
            inputs[f"status_error_{name}"] = outputs[f"error_{name}"]
        self.intc.drive(levels)


class _Device(SimulatedDevice):
    """Powers up the model above instead of a Verilated library."""

    def __init__(self, board: Board, overlay: OverlayModel):
        super().__init__(board, {}, coherent=False, traced=False)
        self._overlay = overlay

    def download(self, bitstream, parser=None) -> None:
        self._board._model = self._overlay
        self._overlay.cycle = 0
        super(SimulatedDevice, self).post_download(bitstream, parser, self.name)


@dataclass
class Rig:
    """A board in a test's hands."""

    bitfile: str
    overlay: OverlayModel
    shape: PipelineShape
    free_bytes: object

    def hear(self, frames: Frames) -> None:
        self.overlay.hear(frames)


@contextmanager
def fake_board(model: CanModel, shape: PipelineShape, flavour: str) -> Iterator[Rig]:
    board = Board(
        flavour=Flavour(flavour),
        memory=MemoryModel(),
        budget_cycles=20_000_000,
        access_cycles=100,
        dram_bytes=8 << 20,
        trace=None,
    )
    overlay = OverlayModel(model, shape, board.dram.bytes, board.dram.base)
    described = OverlayPackage(
        description=replace(DESCRIPTION, parameters={PARAMETER: json.dumps(shape.as_dict())}),
        design_hash=0x1234,
        digest="1234" * 16,
        verilog="",
        pins=(),
    )
    with tempfile.TemporaryDirectory() as folder:
        bitfile = described.write(Path(folder), flavour)
        restore = _install(board, _Device(board, overlay), Path(folder))
        try:
            yield Rig(str(bitfile), overlay, shape, lambda: board.dram.free_bytes)
        finally:
            restore()
            board._model = None


@pytest.fixture(scope="session")
def packaged() -> OverlayPackage:
    """The overlay itself, generated once: that takes longer than any test of it."""
    return package(OVERLAYS["ids"]())


@pytest.fixture(scope="session")
def ours() -> CanModel:
    return load_model("ours")


@pytest.fixture(scope="session")
def ours_shape(ours) -> PipelineShape:
    program = load(ours.path, style="thresholds")
    return fold(program, judge_cycles=400, slots=ours.encoding.window, value_bits=1)


@pytest.fixture
def rig(ours, ours_shape) -> Iterator[Rig]:
    with fake_board(ours, ours_shape, "zynqmp") as rig:
        yield rig
