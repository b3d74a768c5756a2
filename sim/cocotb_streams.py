"""The streams around a unit under cocotb: moved once a cycle, randomly paused, watched for the contract."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

__all__ = ["Streams"]


class Streams:
    """`sources` are fed from `queues`, what `sinks` give goes to `received`, payloads as integers.

    `watchers` see each settled cycle, with what moves in it still to move; `drivers` set inputs for the next.
    """

    def __init__(self, dut: Any, *, sources: tuple[str, ...], sinks: tuple[str, ...], seed: int):
        self.dut, self.random = dut, random.Random(seed)
        self.pauses = 0.3
        self.queues: dict[str, deque[int]] = {name: deque() for name in sources}
        self.received: dict[str, list[int]] = {name: [] for name in sinks}
        self.watchers: list[Callable[[], None]] = []
        self.drivers: list[Callable[[], None]] = []
        self._stalled: dict[str, int | None] = dict.fromkeys(sinks)

    async def begin(self, **inputs: int) -> None:
        """Start the clock, hold the other inputs at these values, reset."""
        for name in self.queues:
            self._port(name, "valid").value = 0
        for name in self.received:
            self._port(name, "ready").value = 0
        for name, value in inputs.items():
            getattr(self.dut, name).value = value
        self._clock = Clock(self.dut.clk, 10, unit="ns")
        self._clock.start()
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 3)
        self.dut.rst.value = 0
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> None:
        """Leave the unit alone, for the next account of it."""
        self._task.cancel()
        self._clock.stop()

    async def cycle(self) -> None:
        await FallingEdge(self.dut.clk)

    async def until(self, done: Callable[[], bool], *, limit: int = 100_000) -> None:
        for _ in range(limit):
            await self.cycle()
            if done():
                return
        raise AssertionError(f"hung after {limit} cycles; waiting: {self.queues!r}")

    def value(self, name: str) -> int:
        return int(getattr(self.dut, name).value)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _port(self, name: str, field: str) -> Any:
        return getattr(self.dut, f"{name}_{field}")

    def _moves(self, name: str) -> bool:
        return bool(int(self._port(name, "valid").value) and int(self._port(name, "ready").value))

    async def _run(self) -> None:
        while True:
            await FallingEdge(self.dut.clk)
            for watch in self.watchers:
                watch()
            taken = [name for name in self.queues if self._moves(name)]
            for name in self.received:
                self._watch(name)
            await RisingEdge(self.dut.clk)
            for name, queue in self.queues.items():
                valid = self._port(name, "valid")
                if name in taken:
                    queue.popleft()
                if name in taken or not int(valid.value):
                    valid.value = bool(queue) and not self.chance(self.pauses)
                    if queue:
                        self._port(name, "payload").value = queue[0]
            for name in self.received:
                self._port(name, "ready").value = not self.chance(self.pauses)
            for drive in self.drivers:
                drive()

    def _watch(self, name: str) -> None:
        """Valid stays, with its payload, until ready."""
        payload = int(self._port(name, "payload").value) if int(self._port(name, "valid").value) else None
        before = self._stalled[name]
        assert before is None or payload == before, f"{name} changed while it was stalled"
        moves = self._moves(name)
        self._stalled[name] = None if moves else payload
        if moves and payload is not None:
            self.received[name].append(payload)
