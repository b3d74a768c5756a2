"""Strobes of the receiver to events of the network, against the encodings that training uses."""

import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.dataflow.window_layer import EventKind
from hw.ids.arrival import QUEUE_DEPTH, Arrival, byte_features
from models.can_ids.features import Encoding
from models.program.pipeline_shape import WindowShape

BITS = WindowShape(slots=1, features=75, value_bits=1, units=8, lanes=2, emit_lanes=1, levels=3)
BYTES = WindowShape(slots=1, features=10, value_bits=8, units=8, lanes=2, emit_lanes=1, levels=3)


def expected_values(shape, identifier, data):
    """Features that are not zero, as `Encoding` has them; its bytes are shifted by 128 into INT8."""
    kind = "bits" if shape is BITS else "bytes"
    values = Encoding(kind=kind, window=1).of_frames(np.array([identifier]), np.array([data], np.uint8))[0]
    values = values.astype(int) + (128 if kind == "bytes" else 0)
    return [(EventKind.VALUE.value, index, value) for index, value in enumerate(values) if value]


class Bus:
    """Plays the receiver's strobes, and collects events."""

    def __init__(self, shape, *, ready=lambda: True):
        self.unit = Arrival(shape=shape)
        self.events, self.pulses, self.ready = [], {"lost": 0, "orphaned": 0}, ready

    async def cycle(self, ctx, **strobes):
        strobes, unit = dict(strobes), self.unit
        for name, value in strobes.items():
            ctx.set(getattr(unit.in_frame, name), value)
        ctx.set(unit.events.ready, self.ready())
        for name in self.pulses:
            self.pulses[name] += ctx.get(getattr(unit, name))
        if ctx.get(unit.events.valid) and ctx.get(unit.events.ready):
            event = unit.events.payload
            self.events.append((ctx.get(event.kind).value, ctx.get(event.index), ctx.get(event.value)))
        await ctx.tick()
        for name in strobes:
            ctx.set(getattr(unit.in_frame, name), 0)

    async def frame(self, ctx, identifier, data, *, gap=6, judge=True, ends=("commit", "accepted")):
        bits = [identifier >> place & 1 for place in reversed(range(11))]
        bits += [byte >> place & 1 for byte in data for place in reversed(range(8))]
        await self.cycle(ctx, start=1)
        for index, bit in enumerate(bits):
            last = judge and index == len(bits) - 1
            await self.cycle(ctx, bit_valid=1, index=index, bit=bit, last_data=int(last))
            for _ in range(gap):
                await self.cycle(ctx)
        for strobe in ends:
            await self.cycle(ctx, **{strobe: 1})
            for _ in range(gap):
                await self.cycle(ctx)

    def run(self, bench):
        simulator = Simulator(self.unit)
        simulator.add_clock(1e-6)

        async def testbench(ctx):
            ctx.set(self.unit.enable, 1)
            await bench(ctx)
            for _ in range(40):
                await self.cycle(ctx)

        simulator.add_testbench(testbench)
        simulator.run()


def kinds(*names):
    return [EventKind[name].value for name in names]


@pytest.mark.parametrize("shape", [BITS, BYTES])
def test_each_feature_comes_once_and_right(shape):
    rng = random.Random(1)
    frames = [(rng.getrandbits(11), [rng.getrandbits(8) for _ in range(8)]) for _ in range(5)]
    frames += [(0, [0] * 8), (0x7FF, [0xFF] * 8)]
    bus = Bus(shape, ready=lambda: rng.random() < 0.7)

    async def bench(ctx):
        for identifier, data in frames:
            await bus.frame(ctx, identifier, data)

    bus.run(bench)
    wanted = []
    for identifier, data in frames:
        wanted += expected_values(shape, identifier, data)
        wanted += [(kind, None, None) for kind in kinds("JUDGE", "COMMIT")]
    got = [event if event[0] == EventKind.VALUE.value else (event[0], None, None) for event in bus.events]
    assert got == wanted
    assert bus.pulses == {"lost": 0, "orphaned": 0}


def test_byte_features_by_hand():
    assert [byte_features(index) for index in (0, 2, 3, 10, 11, 18, 19, 74)] == [
        (0, False), (0, True), (1, False), (1, True), (2, False), (2, True), (3, False), (9, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ends", "judge", "wanted", "orphaned"),
    [
        (("commit", "accepted"), True, ("JUDGE", "COMMIT"), 0),
        (("commit", "rejected"), True, ("JUDGE", "ABORT"), 0),
        (("abort",), True, ("JUDGE", "ABORT"), 1),
        (("abort",), False, ("ABORT",), 0),
        (
            ("abort", "accepted"),
            False,
            ("ABORT",),
            0,
        ),  # a 29-bit frame: aborted at IDE, accepted all the same
    ],
)
def test_how_frames_end(ends, judge, wanted, orphaned):
    bus = Bus(BITS)

    async def bench(ctx):
        await bus.frame(ctx, 0x123, [1], judge=judge, ends=ends)

    bus.run(bench)
    assert [event[0] for event in bus.events if event[0] != EventKind.VALUE.value] == kinds(*wanted)
    assert bus.pulses["orphaned"] == orphaned


def test_a_network_that_is_too_slow_loses_the_frame_and_not_the_order():
    slow = [False]
    bus = Bus(BITS, ready=lambda: not slow[0])

    async def bench(ctx):
        slow[0] = True
        await bus.frame(ctx, 0x7FF, [0xFF] * 8)
        assert bus.pulses["lost"] == 1
        assert not ctx.get(bus.unit.judged)
        slow[0] = False
        for _ in range(2 * QUEUE_DEPTH):
            await bus.cycle(ctx)
        await bus.frame(ctx, 0x001, [])

    bus.run(bench)
    ends = [event[0] for event in bus.events if event[0] != EventKind.VALUE.value]
    assert ends == kinds("ABORT", "JUDGE", "COMMIT")
    assert bus.events[-3][:2] == (EventKind.VALUE.value, 10)


def test_what_is_not_listened_to_leaves_no_event():
    bus = Bus(BITS)

    async def bench(ctx):
        ctx.set(bus.unit.enable, 0)
        await bus.frame(ctx, 0x123, [1])

    bus.run(bench)
    assert bus.events == []


def test_other_features_than_a_frame_has_are_refused():
    shape = WindowShape(slots=1, features=64, value_bits=1, units=8, lanes=2, emit_lanes=1, levels=3)
    with pytest.raises(ValueError, match="75 features of 1 bit or 10 of 8 bits, not 64 of 1 bits"):
        Arrival(shape=shape)
