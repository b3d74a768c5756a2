import itertools

import pytest

from hw.stream import Arbiter, Packet
from sim.stream_sweep import GAPS, StreamBench, sweep


def _packets(n, length, random):
    """Three packets for each input, of up to `length` items."""

    def packet():
        size = random.randint(1, length)
        return [{"data": random.getrandbits(8), "last": int(k == size - 1)} for k in range(size)]

    return {f"i[{k}]": [item for _ in range(3) for item in packet()] for k in range(n)}


def _by_source(n, served):
    """The items of each source in order, and whether packets stayed whole."""
    whole = all(
        before["item"]["last"] or before["source"] == after["source"]
        for before, after in itertools.pairwise(served)
    )
    items = {f"i[{k}]": [each["item"] for each in served if each["source"] == k] for k in range(n)}
    return items | {"whole": [whole]}


@pytest.mark.parametrize("n", [2, 3])
def test_packets_arrive_whole_and_in_order(n):
    sweep(
        Arbiter(shape=Packet(8), n=n),
        items=lambda length, random: _packets(n, length, random),
        golden=lambda given: given | {"whole": [True]},
        observe=lambda seen: _by_source(n, seen["o"]),
        lengths=(1, 2, 6),
    )


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_grant_rotates_as_the_golden_twin_says(n):
    unit = Arbiter(shape=Packet(8), n=n)
    sweep(
        unit,
        items=lambda length, random: _packets(n, length, random),
        golden=lambda given: {"o": unit.compute(list(given.values()))},
        gaps={"no gap": GAPS["no gap"]},
        lengths=(1, 2, 6),
    )


def test_items_without_a_last_take_turns():
    unit = Arbiter(shape=8, n=2)
    given = {"i[0]": [10, 11, 12], "i[1]": [20]}
    run = StreamBench(unit).run(given)
    assert [item["item"] for item in run.items["o"]] == [10, 20, 11, 12]
    assert unit.compute(list(given.values())) == run.items["o"]
    assert run.cycles["o"] == [0, 1, 2, 3], "a packet follows another without a gap"


def test_an_unfinished_packet_keeps_the_grant():
    unit = Arbiter(shape=Packet(4), n=2)
    open_packet, other = [{"data": 1, "last": 0}], [{"data": 2, "last": 1}]
    assert unit.compute([open_packet, other]) == [{"item": {"data": 1, "last": 0}, "source": 0}]


def test_one_input_needs_no_arbiter():
    with pytest.raises(ValueError, match="must be at least 2, not 1"):
        Arbiter(shape=8, n=1)
