import pytest
from amaranth.sim import Simulator

from hw.stream import Fifo
from sim.proofs.paths import combinational_paths
from sim.stream_sweep import StreamBench, sweep


@pytest.mark.parametrize("depth", [4, 5, 16])
def test_items_survive_every_gap_and_stall(depth):
    unit = Fifo(shape=8, depth=depth)
    sweep(
        unit,
        items=lambda length, random: {"i": [random.getrandbits(8) for _ in range(length)]},
        golden=lambda given: {"o": unit.compute(given["i"])},
        lengths=(1, 3, 2 * depth + 3),
    )


@pytest.mark.parametrize("depth", [4, 7, 64])
def test_latency_and_full_rate(depth):
    run = StreamBench(Fifo(shape=8, depth=depth)).run({"i": range(100)})
    assert run.cycles["i"] == list(range(100))
    assert run.cycles["o"] == [cycle + Fifo.LATENCY_CYCLES for cycle in range(100)]


@pytest.mark.parametrize("depth", [4, 6, 33])
def test_it_holds_as_many_items_as_it_says(depth):
    stalled_cycles = 2 * depth + 20
    run = StreamBench(Fifo(shape=8, depth=depth)).run(
        {"i": range(depth + 3)}, stall=lambda cycle, *_: cycle >= stalled_cycles
    )
    accepted = [cycle < stalled_cycles for cycle in run.cycles["i"]]
    assert accepted == [True] * depth + [False] * 3


def test_level_counts_every_item_held():
    unit = Fifo(shape=8, depth=4)
    levels = []

    async def fill_then_drain(ctx):
        ctx.set(unit.i.valid, 1)
        for cycle in range(16):
            ctx.set(unit.o.ready, cycle >= 8)
            ctx.set(unit.i.valid, cycle < 8)
            levels.append(ctx.get(unit.level))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(fill_then_drain)
    simulator.run()
    assert levels == [0, 1, 2, 3, 4, 4, 4, 4, 4, 3, 2, 1, 0, 0, 0, 0]


def test_no_path_from_one_side_to_the_other():
    assert combinational_paths(Fifo(shape=8, depth=8)) == set()


@pytest.mark.parametrize("depth", [0, 3, 4.0])
def test_a_shallow_queue_is_refused(depth):
    with pytest.raises(ValueError, match=f"at least 4, not {depth!r}; use a SkidBuffer"):
        Fifo(shape=8, depth=depth)
