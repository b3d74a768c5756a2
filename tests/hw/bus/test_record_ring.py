"""The ring against a dictionary for memory; the moderator against its definition, cycle by cycle."""

import random

import pytest
from amaranth.sim import Simulator

from hw.bus.record_ring import Moderator, RecordRing

BASE = 0x40_0040  #: a ring may begin anywhere


def run(unit, bench):
    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


class Memory:
    """A writer and the memory behind it, moved on by hand."""

    def __init__(self, unit, rng):
        self.unit, self.rng = unit, rng
        self.content: dict[int, list[int]] = {}
        self._places: list[int] = []
        self._beats: list[int] = []

    async def cycle(self, ctx, *, done_ratio: float = 1.0) -> None:
        """Accept at random; report a record as done some time after its last beat."""
        unit, rng = self.unit, self.rng
        ready = rng.random() < 0.6, rng.random() < 0.6
        ctx.set(unit.request.ready, ready[0])
        ctx.set(unit.data.ready, ready[1])
        done = len(self._beats) >= 4 and bool(self._places) and rng.random() < done_ratio
        if done:
            self.content[self._places.pop(0)] = self._beats[:4]
            del self._beats[:4]
        ctx.set(unit.done, done)
        if ready[0] and ctx.get(unit.request.valid):
            assert ctx.get(unit.request.payload.length) == 32
            self._places.append(ctx.get(unit.request.payload.addr))
        if ready[1] and ctx.get(unit.data.valid):
            assert ctx.get(unit.data.payload.last) == (len(self._beats) % 4 == 3)
            self._beats.append(ctx.get(unit.data.payload.data))
        await ctx.tick()


def beats_of(record: int) -> list[int]:
    return [record >> 64 * n & (1 << 64) - 1 for n in range(4)]


@pytest.mark.parametrize("block", [0, 1])
def test_full_ring_drops_or_blocks_and_goes_on_when_the_host_has_read(block):
    rng = random.Random(block)
    unit = RecordRing(record_bits=256, data_bits=64)
    memory = Memory(unit, rng)

    async def bench(ctx):
        ctx.set(unit.base, BASE)
        ctx.set(unit.mask, 7)
        ctx.set(unit.block, block)
        offered, read, dropped = [], [], 0
        for cycle in range(3000):
            if not ctx.get(unit.record.valid) and rng.random() < 0.3:
                offered.append(rng.getrandbits(256))
                ctx.set(unit.record.payload, offered[-1])
                ctx.set(unit.record.valid, 1)
            if cycle % 200 == 0:  # the host looks only now and then, so the ring fills up
                for index in range(len(read), ctx.get(unit.head)):
                    read.append(memory.content.pop(BASE + 32 * (index % 8)))
                ctx.set(unit.tail, len(read))
            taken = ctx.get(unit.record.valid) and ctx.get(unit.record.ready)
            if taken and ctx.get(unit.dropped):
                offered.pop()
                dropped += 1
            await memory.cycle(ctx)
            if taken:
                ctx.set(unit.record.valid, 0)
        assert len(read) > 50
        assert read == [beats_of(record) for record in offered[: len(read)]]
        assert (dropped > 0) == (not block)

    run(unit, bench)


def test_head_moves_only_when_the_record_is_in_memory():
    unit = RecordRing(record_bits=256, data_bits=64)
    memory = Memory(unit, random.Random(3))

    async def bench(ctx):
        ctx.set(unit.base, BASE)
        ctx.set(unit.mask, 7)
        await ctx.tick().repeat(RecordRing.SETTLING_CYCLES)
        ctx.set(unit.record.valid, 1)
        await memory.cycle(ctx, done_ratio=0)
        ctx.set(unit.record.valid, 0)
        for _ in range(40):
            await memory.cycle(ctx, done_ratio=0)
        assert ctx.get(unit.head) == 0
        assert not ctx.get(unit.idle)
        await memory.cycle(ctx)
        await memory.cycle(ctx)
        assert ctx.get(unit.head) == 1

    run(unit, bench)


@pytest.mark.parametrize("beats", [1, 2, 4])
@pytest.mark.parametrize("places", [1, 2, 8])
def test_no_place_is_given_twice_though_full_is_known_late(beats, places):
    rng = random.Random(places)
    unit = RecordRing(record_bits=64 * beats, data_bits=64)

    async def bench(ctx):
        ctx.set(unit.mask, places - 1)
        for stream in (unit.request, unit.data):
            ctx.set(stream.ready, 1)
        ctx.set(unit.record.valid, 1)  # as many records as the ring takes
        given, tail, was_full = 0, 0, [True] * (RecordRing.SETTLING_CYCLES + 1)
        for cycle in range(600):
            # Now and then the host gives back a place, or all.
            if cycle > 50 and rng.random() < 0.1:
                tail = rng.choice([min(given, tail + 1), given])
            ctx.set(unit.tail, tail)
            was_full = [*was_full[1:], given - tail == places]
            if ctx.get(unit.record.ready):
                dropped = ctx.get(unit.dropped)
                assert not dropped or any(was_full), "dropped, though there was a place"
                given += not dropped
            assert given - tail <= places, "a record over one that the host has not read"
            await ctx.tick()
        assert given > 4 * places

    run(unit, bench)


def test_after_reset_a_ring_is_full_until_its_tail_has_been_seen():
    unit = RecordRing(record_bits=64, data_bits=64)

    async def bench(ctx):
        ctx.set(unit.mask, 3)
        ctx.set(unit.tail, 7)  # the host's register is not reset with the ring
        ctx.set(unit.record.valid, 1)
        for _ in range(20):
            assert ctx.get(unit.dropped) == ctx.get(unit.record.ready)
            await ctx.tick()

    run(unit, bench)


def test_a_record_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match=r"record_bits must be a power of two .* not 192"):
        RecordRing(record_bits=192, data_bits=64)


@pytest.mark.parametrize(("count", "cycles"), [(0, 0), (3, 0), (0, 20), (5, 12), (1, 0)])
def test_moderation(count, cycles):
    rng = random.Random(count * 100 + cycles)
    unit = Moderator()
    raised, expected = [], []

    async def bench(ctx):
        ctx.set(unit.count, count)
        ctx.set(unit.cycles, cycles)
        waiting = age = 0
        now = False
        for _ in range(400):
            event = rng.random() < 0.15
            ctx.set(unit.event, event)
            due = (count and waiting >= count) or (cycles and waiting and age >= cycles)
            expected.append(now)
            raised.append(bool(ctx.get(unit.raised)))
            await ctx.tick()
            before, now = now, bool(due and not now)
            if before:
                waiting, age = int(event), 0
            else:
                age += waiting > 0
                waiting += event

    run(unit, bench)
    assert raised == expected
    assert any(raised) == bool(count or cycles)
