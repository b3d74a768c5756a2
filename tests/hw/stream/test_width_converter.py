from random import Random

import pytest

from hw.stream import WidthConverter
from sim.stream_sweep import StreamBench, sweep

RATIOS = [(1, 4), (4, 1), (3, 8), (8, 3), (4, 6), (6, 4), (5, 5)]


def _packet(lanes, beats, rest, random):
    """`beats` beats, the last with `rest` lanes; noise in the lanes that hold nothing."""
    keeps = [(1 << lanes) - 1] * (beats - 1) + [(1 << rest) - 1]
    return [
        {"data": random.getrandbits(8 * lanes), "keep": keep, "last": int(index == beats - 1)}
        for index, keep in enumerate(keeps)
    ]


def _packets(lanes, length, random):
    return [beat for _ in range(4) for beat in _packet(lanes, length, random.randint(0, lanes), random)]


def _bytes_by_packet(beats, lanes):
    """What the beats mean, worked out from bytes rather than from shifts."""
    packets, current = [], b""
    for beat in beats:
        current += beat["data"].to_bytes(lanes, "little")[: beat["keep"].bit_count()]
        if beat["last"]:
            packets.append(current)
            current = b""
    return packets


@pytest.mark.parametrize(("i_lanes", "o_lanes"), RATIOS)
def test_every_ratio_equals_its_golden_twin(i_lanes, o_lanes):
    unit = WidthConverter(lane_bits=8, i_lanes=i_lanes, o_lanes=o_lanes)
    sweep(
        unit,
        items=lambda length, random: {"i": _packets(i_lanes, length, random)},
        golden=lambda given: {"o": unit.compute(given["i"])},
        lengths=(1, 2, 5),
    )


@pytest.mark.parametrize(("i_lanes", "o_lanes"), RATIOS)
@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_golden_twin_keeps_every_byte_and_every_packet(i_lanes, o_lanes, length):
    unit = WidthConverter(lane_bits=8, i_lanes=i_lanes, o_lanes=o_lanes)
    beats = _packets(i_lanes, length, Random(f"{i_lanes} {o_lanes} {length}"))
    packed = unit.compute(beats)
    assert _bytes_by_packet(packed, o_lanes) == _bytes_by_packet(beats, i_lanes)
    assert all(beat["last"] or beat["keep"] == (1 << o_lanes) - 1 for beat in packed)


@pytest.mark.parametrize(("i_lanes", "o_lanes"), RATIOS)
def test_the_side_with_more_beats_never_waits(i_lanes, o_lanes):
    unit = WidthConverter(lane_bits=8, i_lanes=i_lanes, o_lanes=o_lanes)
    common = i_lanes * o_lanes  # so that every packet fills its last beat
    beats = [beat for _ in range(3) for beat in _packet(i_lanes, common // i_lanes, i_lanes, Random(1))]
    run = StreamBench(unit).run({"i": beats})
    busy = run.cycles["i"] if i_lanes <= o_lanes else run.cycles["o"]
    assert busy == list(range(busy[0], busy[0] + len(busy)))
    assert run.cycles["o"][-1] >= run.cycles["i"][-1] + unit.LATENCY_CYCLES


def test_pixels_to_a_bus_by_hand():
    unit = WidthConverter(lane_bits=8, i_lanes=3, o_lanes=8)
    pixels = [
        {"data": 0x030201, "keep": 7, "last": 0},
        {"data": 0x060504, "keep": 7, "last": 0},
        {"data": 0xFF0807, "keep": 3, "last": 1},
        {"data": 0x0000EE, "keep": 1, "last": 1},
    ]
    run = StreamBench(unit).run({"i": pixels})
    assert run.items["o"] == [
        {"data": 0x0807060504030201, "keep": 0xFF, "last": 1},
        {"data": 0xEE, "keep": 1, "last": 1},
    ]
    assert run.cycles["o"] == [2 + unit.LATENCY_CYCLES, 3 + unit.LATENCY_CYCLES]
