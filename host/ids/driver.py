"""Driver of the `ids` overlay: identity, model, thresholds, alerts and counters; the rest beside it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pynq import Clocks

from host.accelerator import WORD, Accelerator, AcceleratorTimeout
from host.ids.bit_timing import bit_timing
from host.ids.guard import Guard
from host.ids.records import VERDICT, Verdicts, unpack
from host.ids.replay import Replay
from host.ids.ring import Ring
from models.can_ids.frames import Frames

__all__ = ["Identity", "Ids", "ModelRefused"]

#: Counted by the overlay; CLASS_0 and so on are found by their names.
COUNTED = (
    "FRAMES_ACCEPTED",
    "FRAMES_REJECTED",
    "FRAMES_UNJUDGED",
    "FRAMES_LOST",
    "FRAMES_FD",
    "ERRORS_STUFF",
    "ERRORS_CRC",
    "ERRORS_FORM",
    "OVERLOADS",
    "KILLS",
    "KILLS_REFUSED",
    "KILLS_TOO_LATE",
    "RING_DROPPED",
)
ALERT_WORDS = 8
#: Frames of one replay job: long enough to hide the host's work behind the overlay's.
CHUNK_FRAMES = 4096
#: Such a job takes 15 ms on a board; a simulated one on a busy machine may take a minute.
REPLAY_LIMIT_S = 300.0


class ModelRefused(RuntimeError):
    """The overlay does not take these weights."""


@dataclass(frozen=True)
class Identity:
    """What is loaded."""

    version: str
    design_hash: int
    model_hash: str  #: the first 16 hex digits of the sha256 of the QONNX file
    shape_hash: int
    weights_valid: bool


class Ids(Accelerator):
    """Judges CAN frames, replayed from memory or heard on the overlay's pins.

    Example::

        ids = Overlay(bitfile("ids")).ids
        for verdicts in ids.replay([frames]):
            print(verdicts.verdict)
    """

    bindto = ["colonnade:overlay:ids:1.0"]

    def __init__(self, description: dict[str, Any]):
        super().__init__(description)
        #: What the .hwh says of the overlay besides registers.
        self.parameters: dict[str, str] = dict(description.get("parameters", {}))
        #: Times of the pins' frames are cycles over this.
        self.clock_hz: float = float(Clocks.fclk0_mhz) * 1e6
        #: Off until armed.
        self.guard = Guard(self)
        self._ring: Ring | None = None
        self._replay: Replay | None = None

    # Fields of registers

    def read_fields(self, register: str) -> dict[str, int]:
        """Every field of a register, of one read."""
        word = self.read_word(register)
        fields = self._registers[register]["fields"]
        return {
            name: word >> field["bit_offset"] & (1 << field["bit_width"]) - 1
            for name, field in fields.items()
        }

    def write_fields(self, register: str, **values: int) -> None:
        """Write a register in one go; the fields that are not named keep what they read."""
        word, fields = self.read_word(register), self._registers[register]["fields"]
        for name, value in values.items():
            width, offset = fields[name]["bit_width"], fields[name]["bit_offset"]
            if not 0 <= value < 1 << width:
                raise ValueError(f"{self.name}: {register}.{name} has {width} bits, {value!r} does not fit")
            word = word & ~(((1 << width) - 1) << offset) | value << offset
        self.write_word(register, word)

    def pulse(self, register: str, field: str) -> None:
        self.write_word(register, 1 << self._registers[register]["fields"][field]["bit_offset"])

    # Who is there

    def identify(self) -> Identity:
        """What overlay and what model are loaded."""
        version = self.read_word("VERSION")
        return Identity(
            version=f"{version >> 16}.{version & 0xFFFF}",
            design_hash=self.read_word("DESIGN_HASH"),
            model_hash=f"{self.read_word('MODEL_HASH_HI'):08x}{self.read_word('MODEL_HASH_LO'):08x}",
            shape_hash=self.read_word("SHAPE_HASH"),
            weights_valid=bool(self.read_fields("WEIGHTS_STATE")["VALID"]),
        )

    @property
    def classes(self) -> int:
        """How many classes the overlay has counters for."""
        return sum(1 for name in self._offsets if name.startswith("CLASS_") and not name.endswith("_HI"))

    @property
    def counters(self) -> dict[str, int]:
        """Every counter of the overlay, all of the same moment."""
        values = super().counters  # takes the snapshot
        names = (*COUNTED, *(f"CLASS_{index}" for index in range(self.classes)))
        return values | {name.lower(): self._counter(name) for name in names}

    def _counter(self, name: str) -> int:
        if name in self._offsets:
            return self.read_word(name)
        return self.read_word(f"{name}_LO") | self.read_word(f"{name}_HI") << 32

    @property
    def latency_cycles_max(self) -> int:
        """The worst since the reset, from the sample point of the last CRC bit to the verdict; 0 for none."""
        return self.read_word("LATENCY_MAX")

    # The model

    def load_weights(self, image: bytes, *, timeout_s: float = 1.0) -> Identity:
        """Replace the model by another of the same shape; `image` is what `models` makes of a QONNX file."""
        if not image or len(image) % 4:
            raise ValueError(f"{self.name}: a weight image is whole 32-bit words, not {len(image)!r} bytes")
        self.pulse("CONTROL", "ABANDON_WEIGHTS")  # of a host that ended half-way
        for word in np.frombuffer(image, "<u4").tolist():
            self.write_word("WEIGHTS", word)
        try:
            self._await_weights(len(image), timeout_s)
        except ModelRefused:
            self.pulse("CONTROL", "ABANDON_WEIGHTS")
            self.write_word("ERROR", WORD)  # it is said with the exception
            raise
        self.discard_window()
        return self.identify()

    def _await_weights(self, nbytes: int, timeout_s: float) -> None:
        limit = time.monotonic() + timeout_s
        while (state := self.read_fields("WEIGHTS_STATE"))["LOADING"]:
            if time.monotonic() > limit:
                raise ModelRefused(
                    f"{self.name}: after {nbytes:,} bytes the overlay still waits for more of the model, "
                    "so the image is of a larger network; make it for the one this overlay was built for"
                )
        for field, reason in (
            ("REFUSED_SHAPE", "its layers have other shapes than those this overlay was built for"),
            ("REFUSED_CRC", "its checksum is wrong, so the image was damaged on the way"),
        ):
            if state[field]:
                raise ModelRefused(
                    f"{self.name} refuses the model: {reason}; it judges nothing until one fits"
                )
        if not state["VALID"]:
            raise ModelRefused(f"{self.name} has no valid model after loading one; state {state!r}")

    def discard_window(self) -> None:
        """Forget the frames before the next one, for instance between two captures."""
        self.pulse("CONTROL", "DISCARD_WINDOW")

    def alert_on(self, classes: Iterable[int], *, threshold: int) -> None:
        """Which verdicts are alerts: these classes, from this score on."""
        if not -(1 << 15) <= threshold < 1 << 15:
            raise ValueError(f"{self.name}: the threshold is a signed number of 16 bits, not {threshold!r}")
        self.write_word("ALERT_CLASSES", self.class_mask(classes))
        self.write_word("SCORE_THRESHOLD", threshold)

    def class_mask(self, classes: Iterable[int]) -> int:
        mask = 0
        for index in classes:
            if not 0 < index < self.classes:
                raise ValueError(
                    f"{self.name}: attack classes are 1 to {self.classes - 1} (0 is benign), not {index!r}"
                )
            mask |= 1 << index
        return mask

    # Replay

    def open(self, *, chunk_frames: int = CHUNK_FRAMES, ring_records: int | None = None) -> None:
        """Take the overlay over: everything off, the ring in place, all counts at zero."""
        self.guard.disarm()
        self.write_word("MODE", 0)
        Accelerator.soft_reset(self)
        self._free()
        self._replay = Replay(self, chunk_frames=chunk_frames)
        self._ring = Ring(self, records=ring_records or self._replay.ring_records)
        self._ring.attach()

    def close(self) -> None:
        """Everything off, nothing in flight, and the memory given back."""
        self.guard.disarm()
        self.write_word("MODE", 0)
        Accelerator.soft_reset(self)
        self._free()

    def soft_reset(self, timeout_s: float = 1.0) -> None:
        """As of every overlay; the ring starts from its beginning, and what was in it is lost."""
        mode = self.read_word("MODE")
        self.write_word("MODE", 0)  # or a verdict could meet the ring half reset
        super().soft_reset(timeout_s)
        if self._ring is not None:
            self._ring.attach()
        self.write_word("MODE", mode)

    def replay(self, chunks: Iterable[Frames], *, timeout_s: float = REPLAY_LIMIT_S) -> Iterator[Verdicts]:
        """Verdicts on recorded frames, in pieces; while one is judged the next is packed. Polls."""
        replay = self._ready_to_replay()
        with self._given_up_on_error(replay):
            for verdicts in replay.steps(chunks):
                if verdicts is None:
                    self.wait(timeout_s)
                else:
                    yield verdicts

    async def replay_async(
        self, chunks: Iterable[Frames], *, timeout_s: float = REPLAY_LIMIT_S
    ) -> AsyncIterator[Verdicts]:
        """The same, asleep until each interrupt."""
        replay = self._ready_to_replay()
        with self._given_up_on_error(replay):
            for verdicts in replay.steps(chunks):
                if verdicts is None:
                    await self.wait_async(timeout_s)
                else:
                    yield verdicts

    def _ready_to_replay(self) -> Replay:
        if self._replay is None:
            self.open()
        assert self._replay is not None
        if self.read_fields("MODE")["CAN_ENABLE"]:
            raise RuntimeError(
                f"{self.name}: it listens to its CAN pins, whose frames would mix with the recorded ones in "
                "the model's window; stop_listening() first"
            )
        self.write_fields("MODE", RING_ALL=1)
        return self._replay

    @contextlib.contextmanager
    def _given_up_on_error(self, replay: Replay) -> Iterator[None]:
        """A replay that does not end as it should, or is not wanted to its end, leaves nothing running."""
        try:
            yield
        except BaseException as stopped:
            if replay.running or isinstance(stopped, Exception):
                with contextlib.suppress(AcceleratorTimeout):  # what happened first is what to report
                    self.soft_reset()
                replay.running = False
            raise

    # Live

    def listen(
        self,
        bit_rate: float,
        *,
        everything: bool = True,
        records: int = 256,
        within_s: float = 0.01,
    ) -> None:
        """Judge what comes in on the pins; `next_verdicts` or `next_verdicts_async` takes it out of the ring.

        `everything` has every verdict in the ring, else alerts only. The interrupt comes after so many
        `records`, or `within_s` of the first, so that neither one frame waits nor each of many interrupts.
        """
        if self._ring is None:
            self.open()
        timing = bit_timing(self.clock_hz, bit_rate)
        widest = (1 << self._registers["MODERATION"]["fields"]["TIME"]["bit_width"]) - 1
        self.write_fields("BIT_TIMING", **timing)
        self.write_fields(
            "MODERATION",
            COUNT=max(1, min(records, 255)),
            TIME=max(1, min(int(within_s * self.clock_hz), widest)),
        )
        self.discard_window()
        self.write_fields("MODE", CAN_ENABLE=1, RING_ALL=int(everything))

    def stop_listening(self) -> None:
        """The pins are deaf from here on; what is in the ring can still be taken."""
        self.write_fields("MODE", CAN_ENABLE=0, GUARD_ENABLE=0)

    def next_verdicts(self, timeout_s: float = 0.1) -> Verdicts:
        """What has come in; waits for the first, polling, and gives an empty batch when it stays quiet."""
        ring = self.ring
        limit = time.monotonic() + timeout_s
        while not len(records := ring.take()) and time.monotonic() < limit:
            time.sleep(0)
        self._raise_errors()
        return unpack(records, clock_hz=self.clock_hz)

    async def next_verdicts_async(self, timeout_s: float = 0.1) -> Verdicts:
        """The same, asleep until the moderated interrupt."""
        ring = self.ring
        records = ring.take()
        if not len(records):
            with contextlib.suppress(asyncio.TimeoutError):  # quiet is no error
                await asyncio.wait_for(self.verdicts.wait(), timeout_s)
            self._finish("verdicts")  # before the ring is read, so that what comes later raises it again
            records = ring.take()
        return unpack(records, clock_hz=self.clock_hz)

    @property
    def ring(self) -> Ring:
        if self._ring is None:
            raise RuntimeError(f"{self.name} has no ring yet; open() it, or listen(bit_rate) to its pins")
        return self._ring

    def _raise_errors(self) -> None:
        if self.status.errors:
            self._finish("done")

    def pop_alerts(self, most: int = 64) -> Verdicts:
        """The alerts in the overlay's own short list, oldest first; they are in the ring as well."""
        records: list[np.ndarray] = []
        while len(records) < most and self.read_fields("ALERT_STATE")["LEVEL"]:
            words = [self.read_word(f"ALERT_{index}") for index in range(ALERT_WORDS)]
            records.append(np.array(words, "<u4").view(VERDICT))
            self.write_word("ALERT_POP", 1)
        together = np.concatenate(records) if records else np.zeros(0, VERDICT)
        return unpack(together, clock_hz=self.clock_hz)

    @property
    def alerts_lost(self) -> int:
        """Alerts that found the short list full."""
        return self.read_fields("ALERT_STATE")["LOST"]

    def _free(self) -> None:
        for part in (self._ring, self._replay):
            if part is not None:
                part.free()
        self._ring = self._replay = None
