"""A CAN line with the receiver and the guard on it, at full simulation speed: waveform in, events back."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.can.bit_timing import TIMING_LAYOUT, BitTiming
from hw.can.guard import KEY, Guard
from hw.can.receiver import CountedSignature, InFrameSignature, Receiver, frame_layout
from sim.can_bus import BusFrame
from sim.pin_bench import PinBench

__all__ = ["CanLine", "Heard"]

_CONTROL = data.StructLayout({"timing": TIMING_LAYOUT, "ready": 1, "armed": 1, "kill_delay": 10, "rest": 31})
_GUARD_STROBES = ("killed", "refused", "too_late")
_ROW = data.StructLayout(
    {
        "frame": frame_layout(48),
        "taken": 1,
        "bit": 1,
        "index": 7,
        "tx": 1,
        "since_sample": 12,
        "in_frame": data.StructLayout(dict.fromkeys(InFrameSignature.STROBES, 1)),
        "counts": data.StructLayout(dict.fromkeys(CountedSignature.NAMES, 1)),
        "guard": data.StructLayout(dict.fromkeys(_GUARD_STROBES, 1)),
    }
)


class _Line(wiring.Component):
    line: In(1)
    control: In(_CONTROL)
    record: Out(1)
    row: Out(_ROW)

    def __init__(self, guard: Guard):
        self._guard = guard
        super().__init__()

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver(timestamp_bits=48)
        m.submodules.guard = guard = self._guard
        m.d.sync += receiver.now.eq(receiver.now + 1)
        since_sample = Signal(12, init=-1)
        with m.If(receiver.sample):
            m.d.sync += since_sample.eq(1)
        with m.Elif(~since_sample.all()):
            m.d.sync += since_sample.eq(since_sample + 1)
        # With no network behind the receiver, every committed frame is an attack, a fixed time after its CRC.
        kill_in = Signal(10)
        with m.If(kill_in != 0):
            m.d.sync += kill_in.eq(kill_in - 1)
        with m.If(receiver.in_frame.commit):
            m.d.sync += kill_in.eq(self.control.kill_delay)
        last_tx = Signal(init=1)
        m.d.sync += last_tx.eq(guard.tx)
        taken = receiver.frame.valid & receiver.frame.ready
        strobes = [
            getattr(unit, name)
            for unit, names in (
                (receiver.in_frame, InFrameSignature.STROBES),
                (receiver.counts, CountedSignature.NAMES),
                (guard, _GUARD_STROBES),
            )
            for name in names
        ]
        m.d.comb += [
            receiver.rx.eq(self.line & guard.tx),
            receiver.timing.eq(self.control.timing),
            receiver.frame.ready.eq(self.control.ready),
            guard.key.eq(self.control.armed * Const(KEY, 32)),
            guard.kill.eq(kill_in == 1),
            guard.in_flight.eq(receiver.in_flight),
            guard.bit_start.eq(receiver.bit_start),
            self.row.frame.eq(receiver.frame.payload),
            self.row.taken.eq(taken),
            self.row.bit.eq(receiver.in_frame.bit),
            self.row.index.eq(receiver.in_frame.index),
            self.row.tx.eq(guard.tx),
            self.row.since_sample.eq(since_sample),
            self.record.eq(taken | Cat(strobes).any() | (guard.tx != last_tx)),
        ]
        for group, unit, names in (
            (self.row.in_frame, receiver.in_frame, InFrameSignature.STROBES),
            (self.row.counts, receiver.counts, CountedSignature.NAMES),
            (self.row.guard, guard, _GUARD_STROBES),
        ):
            m.d.comb += [getattr(group, name).eq(getattr(unit, name)) for name in names]
        return m


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What came out of the receiver and the guard; cycles count from the making of the line."""

    frames: list[BusFrame]  #: as they left the stream, that is after their CRC
    timestamps: list[int]
    taken_at: list[int]  #: the cycle in which each frame left the stream
    counts: dict[str, int]  #: how often each of `CountedSignature`
    in_frame: list[tuple[int, str]]  #: cycle and name of each strobe but `bit_valid`
    feature_bits: list[tuple[int, int]]  #: index and value
    delays: set[int]  #: cycles from sample point to strobe
    guard: dict[str, int]
    tx_edges: list[tuple[int, int]]  #: cycle and new level

    @property
    def accepted(self) -> list[BusFrame]:
        """The frames whose end was as it should be, provided that none was lost."""
        ends = [name for _, name in self.in_frame if name in ("accepted", "rejected")]
        return [frame for frame, end in zip(self.frames, ends, strict=True) if end == "accepted"]


class CanLine:
    """A receiver and a guard of their own clock on one line."""

    def __init__(self, timing: BitTiming, *, burst: int = 4, interval_cycles: int = 50_000):
        self._bench = PinBench(_Line(Guard(burst=burst, interval_cycles=interval_cycles)))
        self.restart(timing)

    def restart(self, timing: BitTiming) -> None:
        """Reset everything and listen at another rate."""
        self._bench.restart()
        self.timing = timing
        self._tx = 1
        self.set()

    def __enter__(self) -> "CanLine":
        return self

    def __exit__(self, *_) -> None:
        self._bench.close()

    def set(self, *, ready: bool = True, armed: bool = False, kill_delay: int = 0) -> None:
        """What is downstream: whether it takes frames, and after how many cycles it condemns each of them."""
        control = {"ready": ready, "armed": armed, "kill_delay": kill_delay, "rest": 0}
        timing = TIMING_LAYOUT.from_bits(self.timing.word)
        self._bench.set_control(_CONTROL.const(control | {"timing": timing}).as_value().value)

    @property
    def cycles(self) -> int:
        return self._bench.cycles

    def play(self, samples: np.ndarray) -> Heard:
        cycles, columns = self._bench.play(samples)
        in_frame = {name: columns[f"in_frame.{name}"].astype(bool) for name in InFrameSignature.STROBES}
        counted = {name: columns[f"counts.{name}"].astype(bool) for name in CountedSignature.NAMES}
        strobes = np.logical_or.reduce([*in_frame.values(), *counted.values()])
        taken = columns["taken"].astype(bool)
        tx_moves = np.diff(columns["tx"].astype(np.int8), prepend=self._tx) != 0
        self._tx = int(columns["tx"][-1]) if len(cycles) else self._tx
        features = in_frame.pop("bit_valid")
        return Heard(
            frames=[_bus_frame(columns, row) for row in np.flatnonzero(taken)],
            timestamps=columns["frame.timestamp"][taken].tolist(),
            taken_at=cycles[taken].tolist(),
            counts=_total(counted),
            in_frame=sorted(
                ((cycle, name) for name, hit in in_frame.items() for cycle in cycles[hit].tolist()),
            ),
            feature_bits=list(
                zip(columns["index"][features].tolist(), columns["bit"][features].tolist(), strict=True)
            ),
            delays=set(columns["since_sample"][strobes].tolist()),
            guard=_total({name: columns[f"guard.{name}"] for name in _GUARD_STROBES}),
            tx_edges=list(zip(cycles[tx_moves].tolist(), columns["tx"][tx_moves].tolist(), strict=True)),
        )


def _total(strobes: dict[str, np.ndarray]) -> dict[str, int]:
    """How often each came; those that never did are left out."""
    return {name: int(hits.sum()) for name, hits in strobes.items() if hits.any()}


def _bus_frame(columns: dict[str, np.ndarray], row: int) -> BusFrame:
    frame = {
        name: int(columns[f"frame.{name}"][row])
        for name in ("identifier", "extended", "remote", "dlc", "data")
    }
    remote, dlc = bool(frame["remote"]), frame["dlc"]
    size = 0 if remote else dlc
    payload = frame["data"].to_bytes(8, "little")
    if any(payload[size:]):
        raise ValueError(f"the receiver left {payload!r} beyond a dlc of {dlc!r}")
    return BusFrame(
        identifier=frame["identifier"],
        extended=bool(frame["extended"]),
        remote=remote,
        dlc=dlc,
        data=payload[:size],
    )
