import random

import pytest

from hw.bus.realign import Pack, Spread
from sim.stream_sweep import GAPS, STALLS, StreamBench

WIDTHS = [32, 64, 128]


def bus_beats(rng, *, lanes, offset, length):
    count = -(-(offset + length) // lanes)
    return [
        {
            "data": rng.getrandbits(8 * lanes),
            "first": index == 0,
            "last": index == count - 1,
            "offset": offset,
            "tail": (length - 1) % lanes,
        }
        for index in range(count)
    ]


def transfers(rng, lanes):
    """Every offset with every length up to two beats, and some longer, shuffled."""
    cases = [(offset, length) for offset in range(lanes) for length in range(1, 2 * lanes + 1)]
    rng.shuffle(cases)
    return cases[:120] + [(rng.randrange(lanes), rng.randrange(1, 9 * lanes)) for _ in range(10)]


@pytest.mark.parametrize("data_bits", WIDTHS)
@pytest.mark.parametrize("stall", ["no stall", "random"])
def test_pack(data_bits, stall):
    rng, lanes = random.Random(data_bits), data_bits // 8
    cases = transfers(rng, lanes)
    beats = [
        beat for offset, length in cases for beat in bus_beats(rng, lanes=lanes, offset=offset, length=length)
    ]
    unit = Pack(data_bits=data_bits)
    run = StreamBench(unit).run({"i": beats}, gap=GAPS["random"], stall=STALLS[stall])
    golden = unit.compute(beats)
    assert [len(packet) for packet in golden] == [length for _, length in cases]
    packets, held = [], b""
    for beat in run.items["o"]:
        count = beat["keep"].bit_count()
        assert beat["keep"] == (1 << count) - 1
        held += beat["data"].to_bytes(lanes, "little")[:count]
        assert beat["last"] or count == lanes
        if beat["last"]:
            packets.append(held)
            held = b""
    assert packets == golden


def test_pack_in_time():
    rng = random.Random(1)
    unit = Pack(data_bits=32)
    aligned = bus_beats(rng, lanes=4, offset=0, length=40)
    run = StreamBench(unit).run({"i": aligned})
    assert run.cycles["o"][0] - run.cycles["i"][0] == Pack.LATENCY_CYCLES
    assert run.cycles["o"] == list(range(run.cycles["o"][0], run.cycles["o"][0] + 10))
    shifted = bus_beats(rng, lanes=4, offset=3, length=40)
    run = StreamBench(unit).run({"i": shifted})
    assert run.cycles["o"][0] - run.cycles["i"][0] == Pack.LATENCY_CYCLES + 1


def bursts(offset, length, lanes, burst_beats=4):
    count = -(-(offset + length) // lanes)
    return [
        {
            "addr": 0,
            "len": min(burst_beats, count - start) - 1,
            "first": start == 0,
            "last": start + burst_beats >= count,
            "offset": offset,
            "tail": (length - 1) % lanes,
            "empty": 0,
            "refused": 0,
        }
        for start in range(0, count, burst_beats)
    ]


def packed(transfer, lanes):
    chunks = [transfer[at : at + lanes] for at in range(0, len(transfer), lanes)]
    # What lies outside the transfer must not matter.
    return [
        {"data": int.from_bytes(chunk.ljust(lanes, b"\xa5"), "little"), "keep": 0, "last": 0}
        for chunk in chunks
    ]


@pytest.mark.parametrize("data_bits", WIDTHS)
@pytest.mark.parametrize("stall", ["no stall", "random"])
def test_spread(data_bits, stall):
    rng, lanes = random.Random(data_bits), data_bits // 8
    cases = [(offset, rng.randbytes(length)) for offset, length in transfers(rng, lanes)]
    plan = [burst for offset, transfer in cases for burst in bursts(offset, len(transfer), lanes)]
    unit = Spread(data_bits=data_bits, addr_bits=20)
    items = {"burst": plan, "i": [beat for _, transfer in cases for beat in packed(transfer, lanes)]}
    run = StreamBench(unit).run(items, gap=GAPS["random"], stall=STALLS[stall])
    beats = iter(run.items["o"])
    for offset, transfer in cases:
        for content, strobes in unit.compute(transfer, offset=offset):
            beat = next(beats)
            assert [bool(beat["strb"] >> lane & 1) for lane in range(lanes)] == strobes
            data = beat["data"].to_bytes(lanes, "little")
            assert [d for d, s in zip(data, strobes, strict=True) if s] == [
                c for c, s in zip(content, strobes, strict=True) if s
            ]
    assert not list(beats)
    assert run.items["written"] == plan
    ends = [index for index, beat in enumerate(run.items["o"], 1) if beat["last"]]
    assert [end - start for start, end in zip([0, *ends], ends, strict=False)] == [b["len"] + 1 for b in plan]


def test_spread_passes_empty_bursts_on_and_takes_no_data():
    unit = Spread(data_bits=32, addr_bits=20)
    empty = {**bursts(0, 1, 4)[0], "empty": 1}
    plan = [empty, *bursts(1, 4, 4), empty]
    run = StreamBench(unit).run({"burst": plan, "i": packed(b"abcd", 4)})
    assert run.items["written"] == plan
    assert [beat["strb"] for beat in run.items["o"]] == [0b1110, 0b0001]


def test_spread_in_time():
    unit = Spread(data_bits=32, addr_bits=20)
    plan = bursts(3, 64, 4)
    run = StreamBench(unit).run({"burst": plan, "i": packed(bytes(64), 4)})
    assert run.cycles["o"][0] - run.cycles["i"][0] == Spread.LATENCY_CYCLES
    assert run.cycles["o"] == list(range(run.cycles["o"][0], run.cycles["o"][0] + 17))
