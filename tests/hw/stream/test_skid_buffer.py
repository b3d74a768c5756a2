from amaranth.lib import data

from hw.stream import Packet, SkidBuffer
from sim.proofs.paths import combinational_paths
from sim.stream_sweep import StreamBench, sweep


def test_items_survive_every_gap_and_stall():
    unit = SkidBuffer(shape=Packet(8))
    cases = sweep(
        unit,
        items=lambda length, random: {
            "i": [{"data": random.getrandbits(8), "last": random.getrandbits(1)} for _ in range(length)]
        },
        golden=lambda given: {"o": unit.compute(given["i"])},
    )
    assert cases == 125


def test_any_shape_passes():
    shape = data.StructLayout({"row": data.ArrayLayout(3, 2), "sum": data.StructLayout({"low": 5})})
    items = [{"row": [1, 7], "sum": {"low": 9}}, {"row": [0, 2], "sum": {"low": 31}}]
    assert StreamBench(SkidBuffer(shape=shape)).run({"i": items}).items["o"] == items


def test_latency_and_full_rate():
    run = StreamBench(SkidBuffer(shape=8)).run({"i": range(30)})
    assert run.cycles["i"] == list(range(30))
    assert run.cycles["o"] == [cycle + SkidBuffer.LATENCY_CYCLES for cycle in range(30)]


def test_it_holds_two_items():
    run = StreamBench(SkidBuffer(shape=8)).run({"i": range(4)}, stall=lambda cycle, *_: cycle >= 20)
    assert [cycle < 20 for cycle in run.cycles["i"]] == [True, True, False, False]


def test_every_path_is_cut():
    assert combinational_paths(SkidBuffer(shape=8)) == set()
