import numpy as np
from amaranth.sim import Simulator

from hw.tile.profile import EVENTS, LAYERS_MAX, WORDS, Profile

#: The least there may be between two, and between an entry's number and its counts.
KEEP_CYCLES, READ_CYCLES = 4, 2


class Counts:
    """What a profile should hold: each count goes to the layer that is kept next."""

    def __init__(self):
        self.entries = np.zeros((LAYERS_MAX, len(EVENTS)), int)
        self.since = np.zeros(len(EVENTS), int)

    def keep(self, index: int, *, first: bool) -> None:
        self.entries[index] = self.since + (0 if first else self.entries[index])
        self.since[:] = 0


def run(bench) -> None:
    unit = Profile()

    async def with_unit(ctx):
        await bench(ctx, unit)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(with_unit)
    simulator.run()


async def read(ctx, unit, index: int) -> list[int]:
    ctx.set(unit.entry, index)
    await ctx.tick().repeat(READ_CYCLES)
    words = [ctx.get(unit.word[place]) for place in range(WORDS)]
    assert words[len(EVENTS) :] == [0] * (WORDS - len(EVENTS))
    return words[: len(EVENTS)]


async def cycle(ctx, unit, counts: Counts, events: np.ndarray, keep: tuple[int, bool] | None = None) -> None:
    """One cycle with these events; what it keeps are the counts before it."""
    ctx.set(unit.events, int(events @ (1 << np.arange(len(EVENTS)))))
    ctx.set(unit.keep, keep is not None)
    if keep is not None:
        ctx.set(unit.index, keep[0])
        ctx.set(unit.first, keep[1])
        counts.keep(keep[0], first=keep[1])
    counts.since += events
    await ctx.tick()


async def settle(ctx, unit) -> None:
    ctx.set(unit.keep, 0)
    ctx.set(unit.events, 0)
    await ctx.tick().repeat(KEEP_CYCLES)


def test_stretches_of_a_layer_add_up_and_the_first_forgets_what_was_before():
    """Few layers in any order, many of them kept as soon as may be, each of them again and again."""
    indices = (0, 1, 2, 3, 254, 255)

    async def bench(ctx, unit):
        rng, counts = np.random.default_rng(6), Counts()
        for stretch in range(400):
            for _ in range(int(rng.choice([KEEP_CYCLES - 1, KEEP_CYCLES - 1, 20]))):
                await cycle(ctx, unit, counts, rng.integers(0, 2, len(EVENTS)))
            index, first = int(rng.choice(indices)), bool(stretch == 0 or rng.random() < 0.3)
            await cycle(ctx, unit, counts, rng.integers(0, 2, len(EVENTS)), keep=(index, first))
        await settle(ctx, unit)
        for index in indices:
            assert await read(ctx, unit, index) == counts.entries[index].tolist()
        assert counts.entries.any(axis=1).sum() == len(indices)

    run(bench)


def test_start_forgets_what_was_counted_and_nothing_that_was_kept():
    async def bench(ctx, unit):
        counts, ones = Counts(), np.ones(len(EVENTS), int)
        for _ in range(9):
            await cycle(ctx, unit, counts, ones)
        await cycle(ctx, unit, counts, ones, keep=(7, True))
        ctx.set(unit.start, 1)
        await cycle(ctx, unit, counts, ones)
        ctx.set(unit.start, 0)
        for _ in range(5):
            await cycle(ctx, unit, counts, ones)
        await cycle(ctx, unit, counts, ones, keep=(8, True))
        await settle(ctx, unit)
        assert await read(ctx, unit, 7) == [9] * len(EVENTS)
        assert await read(ctx, unit, 8) == [5] * len(EVENTS)

    run(bench)
