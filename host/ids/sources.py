"""Where frames come from: log files, a generated drive, any interface of python-can, the board's own pins."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from models.can_ids.frames import Frames
from models.can_ids.readers import Tally, read_chunks

__all__ = [
    "CanSource",
    "FileSource",
    "FramesSource",
    "GeneratedSource",
    "PinsSource",
    "Source",
    "SourceError",
    "open_source",
]

#: Frames between the thread that receives and the board: some seconds of a busy bus.
QUEUE_FRAMES = 1 << 15
BATCH_FRAMES = 1024
BATCH_S = 0.05  #: after which frames go on even if the batch is not full
GENERATED_CHUNK = 1 << 14


class SourceError(Exception):
    """The input cannot be used; the message names it and says what to do."""


class Source(Protocol):
    """Frames in chunks, and an account of what is not among them."""

    name: str
    live: bool  #: frames come when they come, and are lost where nobody takes them in time

    def chunks(self) -> Iterator[Frames]:
        """Until the end; a live source gives an empty chunk now and then while it is quiet."""

    @property
    def dropped(self) -> dict[str, int]:
        """Frames and lines that were left out, by reason."""

    @property
    def broken(self) -> str:
        """Where and why the source ended early; empty when it did not."""

    def close(self) -> None: ...


@dataclass
class FileSource:
    """A log file, of any format and size that the readers know. It waits for the board: nothing is lost."""

    path: Path
    live: bool = field(default=False, init=False)
    tally: Tally = field(default_factory=Tally, init=False)

    def __post_init__(self) -> None:
        self.name = str(self.path)
        if not self.path.is_file():
            raise SourceError(f"there is no capture file {self.name!r}; give the path of one")

    def chunks(self) -> Iterator[Frames]:
        try:
            yield from read_chunks(self.path, tally=self.tally)
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.name} cannot be read: {error}") from error

    @property
    def dropped(self) -> dict[str, int]:
        return self.tally.dropped

    @property
    def broken(self) -> str:
        return self.tally.broken

    def close(self) -> None:
        """The reader closes its file."""


@dataclass
class FramesSource:
    """Frames that are in memory already."""

    name: str
    frames: Frames
    live: bool = field(default=False, init=False)
    dropped: dict[str, int] = field(default_factory=dict, init=False)
    broken: str = field(default="", init=False)

    def chunks(self) -> Iterator[Frames]:
        for start in range(0, len(self.frames), GENERATED_CHUNK):
            yield self.frames[start : start + GENERATED_CHUNK]

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class GeneratedSource:
    """A drive from nothing, attacked and labelled; the same arguments give the same frames."""

    vehicle: int = 1
    seconds: float = 10.0
    seed: int = 0
    attacks: Sequence[str] = ("dos", "fuzzing", "spoofing")
    live: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        attacks = "+".join(self.attacks) or "none"
        self.name = f"generated drive: vehicle {self.vehicle}, {self.seconds:g} s, attacks {attacks}"
        self.dropped: dict[str, int] = {}
        self.broken = ""

    def chunks(self) -> Iterator[Frames]:
        from models.can_ids.generator import generate

        try:
            frames = generate(
                vehicle_number=self.vehicle, seconds=self.seconds, seed=self.seed, attacks=tuple(self.attacks)
            )
        except (ValueError, KeyError) as error:
            raise SourceError(f"{self.name}: {error}") from error
        yield from FramesSource(self.name, frames).chunks()

    def close(self) -> None:
        """Nothing is held."""


class CanSource:
    """An interface of python-can, received by a thread of its own into a queue that forgets the oldest.

    A board that cannot keep up so judges what is new, and what was lost is counted.
    """

    live = True

    def __init__(
        self, interface: str, channel: str, *, bit_rate: int | None = None, queue_frames: int = QUEUE_FRAMES
    ):
        import can

        self.name = f"can:{interface}:{channel}"
        self.broken = ""
        self._lost = 0
        self._left_out: dict[str, int] = {}
        self._queue: deque[Any] = deque(maxlen=queue_frames)
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._stop = threading.Event()
        options = {} if bit_rate is None else {"bitrate": bit_rate}
        try:
            self._bus = can.Bus(interface=interface, channel=channel, **options)  # type: ignore[arg-type]
        except (can.CanError, OSError, ImportError, ValueError, NotImplementedError) as error:
            raise SourceError(
                f"{self.name} cannot be opened: {error}. Is the adapter plugged in, its driver loaded and "
                "the interface up (ip link set can0 up type can bitrate 500000)?"
            ) from error
        self._thread = threading.Thread(target=self._receive, name=self.name, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        """Take all that is there in one go, so that a busy bus costs one turn of the lock a batch."""
        try:
            while not self._stop.is_set():
                message = self._bus.recv(0.1)
                if message is None:
                    continue
                batch = [message]
                until = time.monotonic() + BATCH_S
                while len(batch) < BATCH_FRAMES and time.monotonic() < until:
                    message = self._bus.recv(0)
                    if message is None:
                        break
                    batch.append(message)
                self._put(batch)
        except Exception as error:  # whatever the driver of an adapter raises when it is unplugged
            if not self._stop.is_set():
                self.broken = f"{self.name} stopped: {error!r}"
        finally:
            self._arrived.set()

    def _put(self, batch: list[Any]) -> None:
        with self._lock:
            assert self._queue.maxlen is not None
            self._lost += max(0, len(self._queue) + len(batch) - self._queue.maxlen)
            self._queue.extend(batch)
        self._arrived.set()

    def chunks(self) -> Iterator[Frames]:
        from models.can_ids.readers.python_can import frames_of_messages, reason_to_drop

        while True:
            ended = not self._thread.is_alive()
            self._arrived.wait(0.2)
            with self._lock:
                self._arrived.clear()
                messages = list(self._queue)
                self._queue.clear()
            good = []
            for message in messages:
                reason = reason_to_drop(message)
                if reason:
                    self._left_out[reason] = self._left_out.get(reason, 0) + 1
                else:
                    good.append(message)
            yield frames_of_messages(good)
            if ended and not messages:
                return

    @property
    def dropped(self) -> dict[str, int]:
        lost = {"the board was slower than the bus": self._lost} if self._lost else {}
        return self._left_out | lost

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2.0)
        self._bus.shutdown()


@dataclass
class PinsSource:
    """The board's own CAN pins. The board receives; the pipeline only takes its verdicts."""

    bit_rate: float = 500_000.0
    live: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self.name = f"pins of the board at {self.bit_rate:g} bit/s"
        self.dropped: dict[str, int] = {}
        self.broken = ""

    def chunks(self) -> Iterator[Frames]:
        raise SourceError("frames on the board's pins never pass through the host")

    def close(self) -> None:
        """The board stops listening."""


FORMS = (
    "a capture file, generate[:name=value,...], can:<interface>:<channel>[:<bit rate>], or pins[:<bit rate>]"
)


def open_source(text: str) -> Source:
    """The source that a command line names."""
    kind, _, rest = text.partition(":")
    if Path(text).exists():
        return FileSource(Path(text))
    if kind == "generate":
        return _generated(rest)
    if kind == "can":
        parts = rest.split(":")
        if len(parts) not in (2, 3) or not all(parts):
            raise SourceError(f"a CAN source is can:<interface>:<channel>[:<bit rate>], not {text!r}")
        rate = int(_number(parts[2], text)) if len(parts) == 3 else None
        return CanSource(parts[0], parts[1], bit_rate=rate)
    if kind == "pins":
        return PinsSource(_number(rest, text)) if rest else PinsSource()
    if not kind or rest:
        raise SourceError(f"{text!r} is no source; a source is {FORMS}")
    return FileSource(Path(text))


def _generated(rest: str) -> GeneratedSource:
    values: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        if name == "attacks":
            values[name] = tuple(kind for kind in value.split("+") if kind and kind != "none")
        elif name in ("vehicle", "seed"):
            values[name] = int(_number(value, part))
        elif name == "seconds":
            values[name] = _number(value, part)
        else:
            raise SourceError(
                f"a generated drive has vehicle, seconds, seed and attacks, not {name!r}; for example "
                "generate:vehicle=1,seconds=20,attacks=dos+fuzzing"
            )
    return GeneratedSource(**values)


def _number(text: str, within: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SourceError(f"{text!r} in {within!r} is no number") from None
