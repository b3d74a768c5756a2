"""Sweep source gaps x sink stalls x lengths over any unit with streams, and compare with its golden twin.

The patterns differ from port to port and come from a fixed seed. Every output is watched for the handshake
rules, and a structural check first shows that no `valid` follows a `ready` within the cycle.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product, zip_longest
from pathlib import Path
from random import Random
from typing import Any

from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from sim.proofs.paths import check_streams
from sim.stream_ports import StreamPort, stream_ports

__all__ = ["GAPS", "STALLS", "Run", "StreamBench", "StreamViolation", "sweep"]

#: Says whether the port moves: (cycle, random numbers of this port, whether an item is on offer) -> bool.
Pattern = Callable[[int, Random, bool], bool]

#: When a source that has an item offers it.
GAPS: Mapping[str, Pattern] = {
    "no gap": lambda _cycle, _rng, _offered: True,
    "every other cycle": lambda cycle, _rng, _offered: cycle % 2 == 0,
    "random": lambda _cycle, rng, _offered: rng.random() < 0.5,
    "bursts": lambda cycle, _rng, _offered: cycle % 11 < 4,
    "rare": lambda _cycle, rng, _offered: rng.random() < 0.15,
}

#: When a sink accepts.
STALLS: Mapping[str, Pattern] = {
    "no stall": lambda _cycle, _rng, _offered: True,
    "every other cycle": lambda cycle, _rng, _offered: cycle % 2 == 1,
    "random": lambda _cycle, rng, _offered: rng.random() < 0.5,
    "bursts": lambda cycle, _rng, _offered: cycle % 13 < 5,
    "only after valid": lambda _cycle, _rng, offered: offered,
}


class StreamViolation(AssertionError):
    """A unit broke the handshake, hung, or gave other items than its golden twin."""


@dataclass(frozen=True)
class Run:
    """What one simulation saw: items in the order of their transfer, and the cycles they moved in."""

    items: dict[str, list] = field(default_factory=dict)  #: by output port, decoded
    cycles: dict[str, list[int]] = field(default_factory=dict)  #: by port, inputs too


class StreamBench:
    """A simulator over one unit, which every run resets."""

    def __init__(self, unit: wiring.Component, *, settings: Mapping[str, int] | None = None):
        """`settings` are values for input ports that are no streams."""
        self._unit = unit
        self._settings = dict(settings or {})
        ports = stream_ports(unit)
        self._inputs = [port for port in ports if port.flow is In]
        self._outputs = [port for port in ports if port.flow is Out]
        self._case: Callable[[Any], Any] = _nothing
        self._simulator: Simulator | None = None

    def run(
        self,
        items: Mapping[str, Iterable],
        *,
        gap: Pattern = GAPS["no gap"],
        stall: Pattern = STALLS["no stall"],
        seed: int = 0,
        quiet_cycles: int = 12,
        hang_cycles: int = 400,
        run_cycles_max: int = 20_000,
        trace: Path | None = None,
    ) -> Run:
        """Feed `items` by input name, take all that comes, and stop after `quiet_cycles` of silence.

        `trace` names a .vcd file for the waveform, whole also when the run fails.

        `hang_cycles` without a transfer while something is on offer is a hang; a run that is not over after
        `run_cycles_max` is a unit that invents items.
        """
        names = [port.name for port in self._inputs]
        if unknown := set(items) - set(names):
            raise ValueError(f"no such input: {sorted(unknown)!r}; the unit takes items on {names!r}")
        sources = [_Source(port, items.get(port.name, ()), gap, seed) for port in self._inputs]
        sinks = [_Sink(port, stall, seed) for port in self._outputs]
        movers: list[_Source | _Sink] = [*sources, *sinks]

        async def case(ctx) -> None:
            for name, value in self._settings.items():
                ctx.set(getattr(self._unit, name), value)
            watched = [value for mover in movers for value in mover.watched]
            cycle = still = 0
            while still < quiet_cycles or any(mover.waits for mover in movers):
                if still > hang_cycles:
                    raise StreamViolation(f"hang: no transfer in {still} cycles; {_standing(movers)}")
                if cycle > run_cycles_max:
                    raise StreamViolation(f"no end after {cycle} cycles; {_standing(movers)}")
                for mover in movers:
                    mover.drive(ctx, cycle)
                _, _, *seen = await ctx.tick().sample(*watched)
                values = iter(seen)
                moved = [mover.watch(cycle, *(next(values) for _ in mover.watched)) for mover in movers]
                still = 0 if any(moved) else still + 1
                cycle += 1

        self._case = case
        simulator = self._fresh_simulator()
        with simulator.write_vcd(str(trace)) if trace else contextlib.nullcontext():
            simulator.run()
        return Run(
            items={sink.port.name: [sink.port.decode(bits) for bits in sink.taken] for sink in sinks},
            cycles={mover.port.name: mover.cycles for mover in movers},
        )

    def _fresh_simulator(self) -> Simulator:
        if self._simulator is not None:
            self._simulator.reset()
            return self._simulator
        top = Module()
        top.domains.sync = ClockDomain()  # also for a unit without a register
        top.submodules.unit = self._unit
        self._simulator = Simulator(top)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._testbench)
        return self._simulator

    async def _testbench(self, ctx) -> None:
        await self._case(ctx)


async def _nothing(_ctx) -> None:
    """The case of a bench that has not run yet."""


class _Source:
    """Offers its items in order; once offered, an item stays until it is accepted."""

    def __init__(self, port: StreamPort, items: Iterable, gap: Pattern, seed: int):
        self.port = port
        self.cycles: list[int] = []
        self.watched = (port.stream.ready,)
        self._queue = deque(port.encode(item) for item in items)
        self._gap = gap
        self._random = Random(f"{seed} {port.name}")
        self._payload = Value.cast(port.stream.payload)
        self._offered = False

    @property
    def waits(self) -> bool:
        return bool(self._queue)

    def drive(self, ctx, cycle: int) -> None:
        if self._offered:
            return
        self._offered = bool(self._queue) and self._gap(cycle, self._random, True)
        # Noise between the items: a payload means nothing without `valid`.
        noise = self._random.getrandbits(len(self._payload)) if len(self._payload) else 0
        ctx.set(self._payload, self._queue[0] if self._offered else noise)
        ctx.set(self.port.stream.valid, self._offered)

    def watch(self, cycle: int, ready: int) -> bool:
        if not (self._offered and ready):
            return False
        self._queue.popleft()
        self.cycles.append(cycle)
        self._offered = False
        return True

    def __str__(self) -> str:
        return f"{self.port.name} still has {len(self._queue)} items to give"


class _Sink:
    """Takes what comes when its pattern says so, and watches the handshake rules."""

    def __init__(self, port: StreamPort, stall: Pattern, seed: int):
        self.port = port
        self.cycles: list[int] = []
        self.taken: list[int] = []
        self.watched = (port.stream.valid, Value.cast(port.stream.payload))
        self._stall = stall
        self._random = Random(f"{seed} {port.name}")
        self._ready = False
        self._pending: int | None = None

    @property
    def waits(self) -> bool:
        return self._pending is not None

    def drive(self, ctx, cycle: int) -> None:
        self._ready = self._stall(cycle, self._random, self.waits)
        ctx.set(self.port.stream.ready, self._ready)

    def watch(self, cycle: int, valid: int, payload: int) -> bool:
        if self._pending is not None:
            where = f"in cycle {cycle}, output {self.port.name}"
            if not valid:
                raise StreamViolation(f"{where} withdrew valid before its item was accepted")
            if payload != self._pending:
                raise StreamViolation(
                    f"{where} changed its payload while stalled, from {self._pending:#x} to {payload:#x}"
                )
        accepted = bool(valid and self._ready)
        self._pending = payload if valid and not accepted else None
        if accepted:
            self.taken.append(payload)
            self.cycles.append(cycle)
        return accepted

    def __str__(self) -> str:
        return f"{self.port.name} gave {len(self.taken)} items" + (
            " and offers another" if self.waits else ""
        )


def sweep(
    unit: wiring.Component,
    *,
    items: Callable[[int, Random], Mapping[str, Sequence]],
    golden: Callable[[Mapping[str, Sequence]], Mapping[str, Sequence]],
    observe: Callable[[Mapping[str, list]], Mapping[str, Sequence]] | None = None,
    lengths: Iterable[int] = (1, 2, 3, 8, 17),
    gaps: Mapping[str, Pattern] = GAPS,
    stalls: Mapping[str, Pattern] = STALLS,
    settings: Mapping[str, int] | None = None,
    seed: int = 1,
    quiet_cycles: int = 12,
) -> int:
    """Run every combination and return how many there were; raise `StreamViolation` at the first fault.

    `items(length, random)` gives the items of each input; `golden` turns them into those of each output.
    Where the order between outputs or sources is free, `observe` reduces what the unit gave to what is not.
    A unit that may be silent for longer between two transfers needs more `quiet_cycles`.
    """
    check_streams(unit)
    bench = StreamBench(unit, settings=settings)
    cases = 0
    for length, gap, stall in product(lengths, gaps, stalls):
        case = f"length {length}, source {gap!r}, sink {stall!r}, seed {seed}"
        given = items(length, Random(f"{seed} {length} {gap} {stall}"))
        try:
            seen = bench.run(
                given, gap=gaps[gap], stall=stalls[stall], seed=seed, quiet_cycles=quiet_cycles
            ).items
        except StreamViolation as violation:
            raise StreamViolation(f"{type(unit).__name__} ({case}): {violation}") from None
        wanted = golden(given)
        found = observe(seen) if observe else seen
        if set(found) != set(wanted):
            raise ValueError(f"golden gives {sorted(wanted)!r}, but the unit has {sorted(found)!r}")
        for name, want in wanted.items():
            if difference := _difference(list(want), list(found[name])):
                raise StreamViolation(f"{type(unit).__name__} ({case}): {name} {difference}")
        cases += 1
    return cases


def _difference(want: list, got: list) -> str:
    for index, (expected, found) in enumerate(zip_longest(want, got, fillvalue="nothing")):
        if expected != found:
            return f"item {index} of {len(want)} should be {expected!r} and is {found!r}"
    return ""


def _standing(movers: Iterable[_Source | _Sink]) -> str:
    return ", ".join(str(mover) for mover in movers)
