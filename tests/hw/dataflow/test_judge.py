"""Verdicts on event by event, against the program on whole windows; and weights that change in operation."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.dataflow.folding import fold
from hw.dataflow.judge import EventKind, Judge
from hw.dataflow.weight_loader import WeightLoader
from models.can_ids.zoo import load_model
from models.program.image import image
from sim.stream_sweep import GAPS, STALLS, StreamBench

SHAPES = {
    "three frames of bits": ((24, 12, 8, 3), 3, {"bits": 1}),
    "two frames of bytes": ((20, 16, 12, 6, 4), 2, {"bits": 8, "signed": True}),
    "activations that start below zero": ((40, 24, 16, 5), 4, {"bits": 8, "signed": True, "minimum": -1}),
    "one frame and wider weights": ((12, 8, 8, 2), 1, {"weight_max": 3, "levels": 2}),
    "binary activations": ((30, 10, 10, 4), 2, {"levels": 1}),
}


def event(kind, index=0, value=0):
    return {"kind": kind, "index": index, "value": value}


def frames(shape, count, rng):
    """Random frames, their values in any order, that end in every way."""
    events = []
    for at in range(count):
        for index in rng.permutation(shape.window.features):
            value = int(rng.integers(1 << shape.window.value_bits)) * int(rng.integers(4) > 0)
            if value or rng.random() < 0.3:
                events.append(event(EventKind.VALUE, int(index), value))
        if at % 5 != 3:
            events.append(event(EventKind.JUDGE))
        ends = {2: EventKind.ABORT, 6: EventKind.DISCARD}
        events.append(event(ends.get(at, EventKind.COMMIT)))
    return events


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("deadline", [400, 60])
def test_verdicts_and_their_latency_are_as_predicted(random_program, name, deadline):
    sizes, slots, options = SHAPES[name]
    program = random_program(sizes, **options)
    shape = fold(
        program, judge_cycles=deadline, slots=slots, value_bits=options.get("bits", 1), value_cycles=30
    )
    judge = Judge(shape=shape, program=program, model_hash=1)
    events = frames(shape, 9, np.random.default_rng(len(name)))
    expected = judge.compute(events)
    assert len({tuple(verdict["decision"]["logits"]) for verdict in expected}) > 1
    bench = StreamBench(judge)
    seen = bench.run({"events": events}, quiet_cycles=deadline)
    assert seen.items["verdicts"] == expected
    judged = [
        cycle
        for one, cycle in zip(events, seen.cycles["events"], strict=True)
        if one["kind"] is EventKind.JUDGE
    ]
    latencies = np.subtract(seen.cycles["verdicts"], judged)
    assert (latencies == judge.verdict_cycles).all()
    assert judge.verdict_cycles <= deadline
    slow = bench.run({"events": events}, gap=GAPS["random"], stall=STALLS["bursts"], quiet_cycles=deadline)
    assert slow.items["verdicts"] == expected


def test_events_take_the_cycles_that_are_stated(random_program):
    program = random_program((24, 12, 8, 3))
    shape = fold(program, judge_cycles=200, slots=3, value_cycles=12)
    judge = Judge(shape=shape, program=program, model_hash=1)
    events = [
        event(EventKind.VALUE, 0, 1),
        event(EventKind.VALUE, 1, 1),
        event(EventKind.VALUE, 2, 0),
        event(EventKind.COMMIT),
        event(EventKind.ABORT),
        event(EventKind.ABORT),
    ]
    cycles = StreamBench(judge).run({"events": events}).cycles["events"]
    assert judge.value_cycles <= 12
    expected = [judge.value_cycles, judge.value_cycles, 1, judge.commit_cycles, 1]
    assert np.diff(cycles).tolist() == expected


def test_the_shipped_model():
    model = load_model("ours")
    shape = fold(model.program, judge_cycles=100, slots=model.encoding.window, value_cycles=16)
    judge = Judge(shape=shape, program=model.program, model_hash=1)
    events = frames(shape, 12, np.random.default_rng(3))
    seen = StreamBench(judge).run({"events": events}, quiet_cycles=100)
    assert seen.items["verdicts"] == judge.compute(events)


class Board:
    """A Judge in simulation, fed by hand."""

    def __init__(self, judge, case):
        self.judge = judge

        async def bench(ctx):
            self.ctx = ctx
            await case(self)

        simulator = Simulator(judge)
        simulator.add_clock(1e-8)
        simulator.add_testbench(bench)
        simulator.run()

    async def send(self, words):
        for at in range(0, len(words), 4):
            self.ctx.set(self.judge.weights.words.payload, int.from_bytes(words[at : at + 4], "little"))
            self.ctx.set(self.judge.weights.words.valid, 1)
            while not self.ctx.get(self.judge.weights.words.ready):
                await self.ctx.tick()
            await self.ctx.tick()
            self.ctx.set(self.judge.weights.words.valid, 0)
        await self.ctx.tick().repeat(WeightLoader.CHECK_CYCLES - 1)

    async def put(self, events):
        for one in events:
            self.ctx.set(self.judge.events.payload, one)
            self.ctx.set(self.judge.events.valid, 1)
            while not self.ctx.get(self.judge.events.ready):
                await self.ctx.tick()
            await self.ctx.tick()
            self.ctx.set(self.judge.events.valid, 0)

    async def verdict(self):
        for _ in range(200):
            if self.ctx.get(self.judge.verdicts.valid):
                break
            await self.ctx.tick()
        payload = self.ctx.get(self.judge.verdicts.payload)
        self.ctx.set(self.judge.verdicts.ready, 1)
        await self.ctx.tick()
        self.ctx.set(self.judge.verdicts.ready, 0)
        decision = payload.decision
        return payload.judged, {
            "class_index": decision.class_index,
            "score": decision.score,
            "logits": list(decision.logits),
        }

    @property
    def status(self):
        names = ("valid", "loading", "refused_shape", "refused_crc")
        return [name for name in names if self.ctx.get(getattr(self.judge.weights, name))]


@pytest.fixture
def two_programs(random_program):
    first, second = (random_program((16, 8, 3), seed=seed) for seed in (1, 2))
    return first, second, fold(first, judge_cycles=60, slots=2, value_cycles=8)


def test_new_weights_replace_the_old_at_run_time(two_programs):
    first, second, shape = two_programs
    new, judge = (Judge(shape=shape, program=one, model_hash=7) for one in (second, first))
    rng = np.random.default_rng(1)
    one, other, third = (
        [event(EventKind.VALUE, index, 1) for index in rng.permutation(8)[:5].tolist()] for _ in range(3)
    )
    commit, verdict = event(EventKind.COMMIT), event(EventKind.JUDGE)
    before = [*one, commit, *other, verdict]
    after = [*third, verdict]

    def logits(twin, events):
        return twin.compute(events)[-1]["decision"]

    # A frame left over in the window, of the old weights or half of them, would show.
    assert logits(new, after) not in (
        logits(new, [*one, commit, *after]),
        logits(new, [*other, commit, *after]),
    )

    async def case(board):
        await board.put(before)
        assert await board.verdict() == (1, logits(judge, before))
        await board.send(image(second, shape, model_hash=0x1234_5678_9ABC_DEF0))
        assert board.status == ["valid"]
        assert board.ctx.get(judge.weights.model_hash) == 0x1234_5678_9ABC_DEF0
        assert board.ctx.get(judge.weights.shape_hash) == shape.digest
        # That frame began with the old weights: it is not judged, nor does it enter the window.
        await board.put([*third, verdict])
        assert (await board.verdict())[0] == 0
        await board.put([commit, *after])
        assert await board.verdict() == (1, logits(new, after))

    Board(judge, case)


def test_without_weights_every_verdict_says_so(two_programs):
    first, _, shape = two_programs

    async def case(board):
        assert board.status == []
        await board.put([event(EventKind.JUDGE)])
        assert (await board.verdict())[0] == 0
        await board.put([event(EventKind.COMMIT)])
        await board.send(image(first, shape, model_hash=1))
        await board.put([event(EventKind.JUDGE)])
        expected = Judge(shape=shape, program=first, model_hash=1).compute([event(EventKind.JUDGE)])
        assert await board.verdict() == (1, expected[0]["decision"])

    Board(Judge(shape=shape), case)


def test_a_verdict_in_flight_while_weights_are_loaded_is_none(two_programs):
    first, second, shape = two_programs

    async def case(board):
        await board.send(image(second, shape, model_hash=1)[:8])
        await board.put([event(EventKind.JUDGE)])
        await board.send(image(second, shape, model_hash=1)[8:16])
        assert board.status == ["loading"]
        # The verdict was ready before the weights changed: it stays true however late it is taken.
        assert (await board.verdict())[0] == 1
        await board.put([event(EventKind.COMMIT), event(EventKind.JUDGE)])
        await board.send(image(second, shape, model_hash=1)[16:])
        assert (await board.verdict())[0] == 0
        assert board.status == ["valid"]

    Board(Judge(shape=shape, program=first, model_hash=1), case)


def test_a_verdict_is_none_if_the_weights_change_before_it_is_ready(two_programs):
    first, second, shape = two_programs

    async def case(board):
        ctx, judge = board.ctx, board.judge
        words = image(second, shape, model_hash=1)
        await board.send(words[:8])
        # The third word, after which weights are not valid, is half in when the frame is judged.
        ctx.set(judge.weights.words.payload, int.from_bytes(words[8:12], "little"))
        ctx.set(judge.weights.words.valid, 1)
        await ctx.tick().repeat(24)
        await board.put([event(EventKind.JUDGE)])
        assert board.status == ["valid", "loading"]
        await ctx.tick().repeat(8)
        ctx.set(judge.weights.words.valid, 0)
        assert board.status == ["loading"]
        assert not ctx.get(judge.verdicts.valid)
        assert (await board.verdict())[0] == 0

    Board(Judge(shape=shape, program=first, model_hash=1), case)


def test_a_shape_without_window_is_refused(two_programs):
    first, _, shape = two_programs
    with pytest.raises(ValueError, match="a Judge needs a shape with a window"):
        Judge(shape=replace(shape, window=None), program=first, model_hash=1)
    with pytest.raises(ValueError, match="give program and model_hash, or neither"):
        Judge(shape=shape, program=first)
