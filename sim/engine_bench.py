"""A DMA engine on a Python memory in Amaranth's simulator: what it moved, when, and what it reported.

Beyond the rules that the memory checks, the bench checks that read data is taken in the very cycle it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from amaranth.hdl import Value
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from hw.bus.reader import Reader
from hw.bus.transfer import BurstPlan
from hw.bus.writer import Writer
from sim.axi_memory import AxiMemory, Conditions, Sink, Source, Violation, pack_beats, unpack_beat
from sim.stream_ports import stream_ports

__all__ = ["EngineBench", "Job", "Log"]

#: Cycles of rest after which a run is over: longer than any pipeline in an engine.
REST_CYCLES = 12
HANG_CYCLES = 3000


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked of the engine: transfers (address, length), a writer's packets, a flush."""

    transfers: Sequence[tuple[int, int]]
    packets: Iterable[bytes] = ()
    flush: range = range(0)  #: the cycles with `flush` high
    then: Job | None = None  #: asked once the engine has come to rest


@dataclass
class Log:
    """What one run saw."""

    cycles: int = 0
    bursts: list[BurstPlan] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)  #: of a reader
    unfinished: bytes = b""
    done: list[int] = field(default_factory=list)  #: the cycles with a `done`
    errors: list[tuple[int, int]] = field(default_factory=list)  #: response and address
    stalls: dict[str, int] = field(default_factory=lambda: {"address": 0, "data": 0, "sink": 0})
    moved: dict[str, list[int]] = field(default_factory=dict)  #: by port, the cycles in which a word moved

    def bus_use(self, *, data_bits: int, length: int) -> float:
        """Of what the bus could move from the first request to the last `done`, the part that `length` is."""
        return length * 8 / data_bits / (self.done[-1] - self.moved["request"][0])


class EngineBench:
    """One engine, and a memory as large as its address space; every `run` begins with a reset."""

    def __init__(self, engine: Reader | Writer, *, data_bits: int, addr_bits: int, burst_beats: int = 16):
        self._engine = engine
        self._data_bits, self._addr_bits, self._burst_beats = data_bits, addr_bits, burst_beats
        self._ports = {port.name: port for port in stream_ports(engine)}
        self._inputs = [name for name, port in self._ports.items() if port.flow is In]
        self._outputs = [name for name, port in self._ports.items() if port.flow is not In]
        self.content = bytearray(Random(0).randbytes(1 << addr_bits))
        self._used = False
        self._simulator = Simulator(engine)
        self._simulator.add_clock(1e-8)
        self._simulator.add_testbench(self._testbench)

    def run(self, job: Job, conditions: Conditions | None = None) -> Log:
        self._job, self._conditions = job, conditions or Conditions()
        self._log, self._partial = Log(moved={name: [] for name in self._ports}), bytearray()
        if self._used:
            self._simulator.reset()
        self._used = True
        self._simulator.run()
        self._log.unfinished = bytes(self._partial)
        return self._log

    async def _testbench(self, ctx) -> None:
        engine, log = self._engine, self._log
        self._sources = {name: Source(self._ports[name], self._conditions) for name in self._inputs}
        self._sinks = {name: Sink(self._ports[name], self._conditions) for name in self._outputs}
        self._memory = AxiMemory(
            data_bits=self._data_bits,
            addr_bits=self._addr_bits,
            burst_beats=self._burst_beats,
            content=self.content,
            conditions=self._conditions,
        )
        watched = [self._ports[name].stream.ready for name in self._inputs]
        watched += [self._ports[name].stream.valid for name in self._outputs]
        watched += [Value.cast(self._ports[name].stream.payload) for name in self._outputs]
        watched += [engine.idle, engine.done, Value.cast(engine.error), Value.cast(engine.stalls)]
        job: Job | None = self._job
        while job:
            self._ask(job)
            start, moved, pending = log.cycles, log.cycles, True
            while pending or log.cycles - moved < REST_CYCLES:
                flushing = log.cycles - start in job.flush
                ctx.set(engine.flush, flushing)
                _clk, _rst, *values = await ctx.tick().sample(*watched)
                if self._cycle(ctx, values, may_withdraw=flushing) or flushing:
                    moved = log.cycles
                if flushing:
                    self._reset_surroundings(ctx)
                pending = not values[-4] or self._pending
                if log.cycles - moved > HANG_CYCLES:
                    raise Violation(f"hung in cycle {log.cycles}; {len(log.done)} transfers were done")
            job = job.then
        log.bursts = self._memory.bursts

    def _ask(self, job: Job) -> None:
        queue = self._sources["request"].queue
        queue.extend((0, addr | length << self._addr_bits) for addr, length in job.transfers)
        for packet in job.packets:
            words = pack_beats(packet, data_bits=self._data_bits)
            self._sources["data"].queue.extend((0, word) for word in words)

    def _reset_surroundings(self, ctx) -> None:
        """A flush resets who asks, who gives and who takes, too; never the memory."""
        self._partial.clear()
        for name in {"request", "data"} & self._sources.keys():
            self._sources[name].clear(ctx)

    @property
    def _pending(self) -> bool:
        # Data that no transfer takes may stay with its source.
        waiting = [source.queue for name, source in self._sources.items() if name != "data"]
        return not self._memory.idle or any(waiting)

    def _cycle(self, ctx, values: list[int], *, may_withdraw: bool) -> bool:
        """Advance everything by what was sampled; return whether anything moved."""
        log, cycle = self._log, self._log.cycles
        inputs, outputs = len(self._inputs), len(self._outputs)
        ready = dict(zip(self._inputs, values, strict=False))
        valid = dict(zip(self._outputs, values[inputs:], strict=False))
        words = dict(zip(self._outputs, values[inputs + outputs :], strict=False))
        _idle, done, error, stalls = values[-4:]
        if "r" in ready and self._sources["r"].offered and not ready["r"]:
            raise Violation(f"the bus was blocked in cycle {cycle}")
        taken = {
            name: sink.step(
                ctx, valid=valid[name], word=words[name], may_withdraw=may_withdraw and name == "data"
            )
            for name, sink in self._sinks.items()
        }
        if "ar" in taken and taken["ar"] is not None:
            self._memory.read(taken["ar"], cycle=cycle, r=self._sources["r"])
        if "aw" in taken:
            self._memory.write(
                taken["aw"], taken["w"], cycle=cycle, b=self._sources["b"], offered=bool(valid["w"])
            )
        self._receive(taken.get("data"))
        gone = {name: source.step(ctx, cycle, ready[name]) for name, source in self._sources.items()}
        if done:
            log.done.append(cycle)
        if error & 1:
            log.errors.append((error >> 1 & 3, error >> 3))
        for bit, name in enumerate(log.stalls):
            log.stalls[name] += stalls >> bit & 1
        active = [name for name, word in taken.items() if word is not None]
        active += [name for name, went in gone.items() if went]
        for name in active:
            log.moved[name].append(cycle)
        log.cycles += 1
        return bool(active or done)

    def _receive(self, word: int | None) -> None:
        if word is None:
            return
        chunk, last = unpack_beat(word, data_bits=self._data_bits)
        self._partial += chunk
        if last:
            self._log.packets.append(bytes(self._partial))
            self._partial.clear()
