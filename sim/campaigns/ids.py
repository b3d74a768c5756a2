"""Campaigns over the `ids` overlay on the simulated board: exactness through both entrances, latency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pynq import Overlay

from host.ids.board import AlertRule
from host.ids.driver import Ids
from host.ids.golden import GoldenBoard
from host.ids.records import Verdicts
from hw.can.bit_timing import BitTiming
from hw.dataflow.window_layer import WindowLayer
from hw.ids.replay import Replay
from hw.overlay.ids import MODEL, IdsOverlay
from models.can_ids.features import is_judged
from models.can_ids.frames import Frames
from models.can_ids.zoo import load_model
from sim.board import MemoryModel, SimulatedBoard, simulated_board
from sim.can_bus import BusFrame, Waveform, frame_bits, idle

__all__ = ["IdsBench", "PinRun", "bus_frames", "mismatches"]

#: Recessive bits that bring every receiver in step, whatever was before.
INTEGRATION_BITS = 18
NOISE_PIECES = 100


@dataclass(frozen=True)
class PinRun:
    """What became of frames that were sent over the pins."""

    frames: int
    mismatches: int
    latency_cycles: int  #: most cycles from the sample point of the last CRC bit to the verdict, so far


def mismatches(got: Verdicts, wanted: Verdicts) -> int:
    """Frames with another verdict, score, alert or content than they should have, and those missing."""
    common = min(len(got), len(wanted))
    wrong = np.zeros(common, bool)
    for name in ("verdict", "score", "alert"):
        wrong |= getattr(got, name)[:common] != getattr(wanted, name)[:common]
    for name in ("identifier", "extended", "remote", "dlc"):
        wrong |= getattr(got.frames, name)[:common] != getattr(wanted.frames, name)[:common]
    wrong |= (got.frames.data[:common] != wanted.frames.data[:common]).any(axis=1)
    return int(wrong.sum()) + abs(len(got) - len(wanted))


def bus_frames(frames: Frames) -> list[BusFrame]:
    """The same frames for the encoder, which shares nothing with the gateware."""
    return [
        BusFrame(
            identifier=int(frames.identifier[row]),
            extended=bool(frames.extended[row]),
            remote=bool(frames.remote[row]),
            dlc=int(frames.dlc[row]),
            data=b"" if frames.remote[row] else frames.data[row].tobytes()[: int(frames.dlc[row])],
        )
        for row in range(len(frames))
    ]


class IdsBench:
    """The overlay on a board and the golden model beside it; a context manager."""

    def __init__(self, *, model: Path = MODEL, bit_rate: float = 1e6, flavour: str = "zynqmp", **overlay):
        self._model = load_model(model)
        self.bit_rate = bit_rate
        gateware = IdsOverlay(model=model, **overlay)
        self._shape = gateware.shape
        self._session = simulated_board(
            gateware, flavour=flavour, budget_cycles=100_000_000, access_cycles=500
        )
        self.rule = AlertRule(classes=tuple(range(1, len(self._model.classes))), threshold=1)

    def __enter__(self) -> IdsBench:
        self.board: SimulatedBoard = self._session.__enter__()
        self.ids: Ids = Overlay(self.board.bitfile).ids
        self.ids.open(chunk_frames=8192)
        self.ids.alert_on(self.rule.classes, threshold=self.rule.threshold)
        self._golden = GoldenBoard(self._model, self.rule)
        return self

    def __exit__(self, *failure) -> None:
        self.ids.close()
        self._session.__exit__(*failure)

    def _start_afresh(self) -> None:
        self.ids.discard_window()
        self._golden.discard_window()

    def check_replay(self, frames: Frames, *, memory: MemoryModel | None = None) -> int:
        """Replay a capture from memory and count the frames that come out wrong."""
        self.board.memory = memory or MemoryModel(latency=40)
        self._start_afresh()
        wrong = 0
        for verdicts in self.ids.replay([frames], timeout_s=600):
            wrong += mismatches(verdicts, self._golden.judge(verdicts.frames))
        return wrong

    def replay_cycles(self, frames: Frames) -> tuple[float, float]:
        """Busy cycles a frame, measured with memory of 40 cycles latency, and as the units' docs predict."""
        self.board.memory = MemoryModel(latency=40)
        before = self.ids.counters["busy_cycles"]
        for _ in self.ids.replay([frames], timeout_s=600):
            pass
        measured = (self.ids.counters["busy_cycles"] - before) / len(frames)
        return measured, self._predicted_cycles(frames) / len(frames)

    def _predicted_cycles(self, frames: Frames) -> int:
        """A frame at a time: its features one by one, a VALUE for each that is not zero, JUDGE and COMMIT."""
        judged = frames[is_judged(frames)]
        encoding = self._model.encoding
        features = encoding.of_frames(judged.identifier, judged.data)
        values = np.count_nonzero(features.view(np.uint8) ^ (0x80 if encoding.kind == "bytes" else 0))
        window = self._shape.window
        assert window is not None
        events = WindowLayer.judge_cycles(window) + WindowLayer.commit_cycles(window)
        return (
            Replay.FRAME_CYCLES * len(frames)
            + features.size
            - values
            + values * WindowLayer.value_cycles(window)
            + events * len(judged)
        )

    def check_pins(self, frames: Frames, *, clock_error: float = 0.0, chunk: int = 200) -> PinRun:
        """Send frames bit by bit over `can_rx`, at the shortest distance, and judge what the overlay says."""
        self._start_afresh()
        self.ids.listen(self.bit_rate)
        wrong = 0
        for start in range(0, len(frames), chunk):
            part = frames[start : start + chunk]
            wrong += mismatches(self.hear(part, clock_error=clock_error), self._golden.judge(part))
        self.ids.stop_listening()
        return PinRun(len(frames), wrong, self.ids.latency_cycles_max)

    def hear(
        self, frames: Frames, *, clock_error: float = 0.0, noise: np.random.Generator | None = None
    ) -> Verdicts:
        """Play frames on the pin, after levels of random lengths if asked for, and take their records."""
        timing = BitTiming.for_rate(self.ids.clock_hz, self.bit_rate)
        wave = Waveform(cycles_per_bit=timing.cycles_per_bit, clock_error=clock_error)
        if noise is not None:
            for level in noise.integers(2, size=NOISE_PIECES):
                wave.hold(int(level), float(noise.integers(1, 3 * timing.cycles_per_bit)))
        wave.send(idle(INTEGRATION_BITS))
        for frame in bus_frames(frames):
            wave.send(frame_bits(frame)).send(idle())
        self.board.pins.play("can_rx", wave.runs())
        self.board.run(wave.cycles + 2 * INTEGRATION_BITS * timing.cycles_per_bit)
        return self.ids.next_verdicts(timeout_s=0)
