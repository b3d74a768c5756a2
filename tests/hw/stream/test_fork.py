import pytest

from hw.stream import Fork
from sim.stream_sweep import StreamBench, sweep


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_branch_gets_every_item_once(n):
    unit = Fork(shape=8, n=n)
    sweep(
        unit,
        items=lambda length, random: {"i": [random.getrandbits(8) for _ in range(length)]},
        golden=lambda given: {f"o[{k}]": items for k, items in enumerate(unit.compute(given["i"]))},
    )


def test_latency_and_full_rate():
    run = StreamBench(Fork(shape=8, n=2)).run({"i": range(20)})
    assert run.cycles["i"] == list(range(20))
    assert run.cycles["o[1]"] == [cycle + Fork.LATENCY_CYCLES for cycle in range(20)]


def test_a_fast_branch_does_not_wait_for_a_slow_one():
    class Slow:
        """Stalls branch 1, told apart by its own random numbers, for the first 10 cycles."""

        calls = 0

        def __call__(self, cycle, *_):
            branch = self.calls % 2
            self.calls += 1
            return branch == 0 or cycle >= 10

    run = StreamBench(Fork(shape=8, n=2)).run({"i": [7]}, stall=Slow())
    assert run.cycles == {"i": [10], "o[0]": [0], "o[1]": [10]}


def test_a_fork_without_branches_is_refused():
    with pytest.raises(ValueError, match="number of branches, must be a positive integer, not 0"):
        Fork(shape=8, n=0)
