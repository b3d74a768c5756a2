import pytest

from hw.stream import Join, Packet
from sim.stream_sweep import StreamBench, sweep


def _pairs(length, random):
    return {
        "i.row": [random.getrandbits(8) for _ in range(length)],
        "i.column": [{"data": random.getrandbits(3), "last": random.getrandbits(1)} for _ in range(length)],
    }


def test_items_leave_beside_their_partners():
    unit = Join(shapes={"row": 8, "column": Packet(3)})
    sweep(
        unit,
        items=_pairs,
        golden=lambda given: {"o": unit.compute({"row": given["i.row"], "column": given["i.column"]})},
    )


def test_latency_and_full_rate():
    run = StreamBench(Join(shapes={"a": 8, "b": 8})).run({"i.a": range(20), "i.b": range(20)})
    assert run.cycles["o"] == [cycle + Join.LATENCY_CYCLES for cycle in range(20)]


def test_an_item_without_a_partner_has_no_result():
    assert Join(shapes={"a": 8, "b": 8}).compute({"a": [1, 2], "b": [3]}) == [{"a": 1, "b": 3}]


def test_a_join_of_nothing_is_refused():
    with pytest.raises(ValueError, match="must name at least one input"):
        Join(shapes={})
