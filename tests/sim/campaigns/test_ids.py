"""The real overlay against the golden model through both entrances, and the guard against a second node."""

import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from host.ids.guard import GuardPolicy, GuardWarning
from host.ids.records import Verdicts
from hw.can.guard import KEY
from models.can_ids.frames import Frames
from models.can_ids.generator import generate
from sim.board import MemoryModel
from sim.campaigns.ids import IdsBench, bus_frames, mismatches
from sim.can_bus import Waveform, frame_bits, idle, receive

BURST, INTERVAL_CYCLES = 3, 500_000
CYCLES_PER_BIT = 100


@pytest.fixture(scope="module")
def bench(event_loop_of_pynq):
    with IdsBench(guard_burst=BURST, guard_interval_cycles=INTERVAL_CYCLES) as bench:
        yield bench


@pytest.fixture(scope="module")
def drive():
    """Attacked traffic with a remote frame and two 29-bit frames in it."""
    frames = generate(vehicle_number=1, seconds=1, seed=5, attacks=("dos", "fuzzing", "spoofing"))
    frames.extended[[40, 41]] = True
    frames.identifier[41] = 0x1ABCDEF0
    frames.remote[60] = True
    frames.dlc[60] = 0
    frames.data[60] = 0
    return frames


def test_replay_under_random_stalls(bench, drive):
    assert bench.check_replay(drive[:800], memory=MemoryModel(latency=30, stalls=0.3, seed=1)) == 0
    assert bench.check_replay(drive[800:1000]) == 0


def test_replay_is_as_fast_as_its_units_say(bench, drive):
    measured, predicted = bench.replay_cycles(drive[:400])
    assert measured <= predicted


def test_pins(bench, drive):
    run = bench.check_pins(drive[:80])
    assert (run.frames, run.mismatches) == (80, 0)
    assert run.latency_cycles <= 100
    assert bench.check_pins(drive[200:240], clock_error=-0.01).mismatches == 0


def verdicts_on(bench, frames):
    return Verdicts.concatenate(list(bench.ids.replay([frames])))


def test_the_shortest_replays(bench, drive):
    assert [len(verdicts_on(bench, drive[:count])) for count in (1, 2, 3)] == [1, 2, 3]


def test_a_wrong_verdict_would_be_counted(bench, drive):
    golden = verdicts_on(bench, drive[:20])
    other = golden.verdict.copy()
    other[7] ^= 1
    assert mismatches(replace(golden, verdict=other), golden) == 1
    assert mismatches(golden[:18], golden) == 2


def attacked_traffic(bench, count):
    """Benign frames of a drive with `count` frames of DoS among them, and which those are."""
    benign = generate(vehicle_number=1, seconds=1, seed=5)[:3000]
    benign = benign[verdicts_on(bench, benign).verdict == 0][: 3 * count]
    frames = Frames.zeros(4 * count)
    attacks = np.arange(len(frames)) % 4 == 3
    frames.identifier[~attacks], frames.data[~attacks] = benign.identifier, benign.data
    frames.dlc[:] = 8
    assert (verdicts_on(bench, frames[attacks]).verdict == 1).all()
    return frames, attacks


def second_node(bench, frames):
    """What another node accepts of the line that the sender and the guard's pin make together."""
    wave = Waveform(cycles_per_bit=CYCLES_PER_BIT)
    wave.send(idle(20))
    for frame in bus_frames(frames):
        wave.send(frame_bits(frame)).send(idle(20))
    bench.board.pins.record("can_tx")
    start = bench.board.cycles
    bench.board.pins.play("can_rx", wave.runs())
    bench.board.run(wave.cycles + 1000)
    line = wave.samples()
    changes = [*bench.board.pins.changes("can_tx"), (start + len(line), 1)]
    for (since, level), (until, _) in pairwise(changes):
        if not level:
            line[max(0, since - start) : until - start] = 0
    samples = line[3 * CYCLES_PER_BIT // 4 :: CYCLES_PER_BIT]
    return [frame.identifier for frame in receive(samples.tolist())]


def arm(bench, key):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuardWarning)
        bench.ids.guard.arm(GuardPolicy(key=key, classes=(1,)))


def test_the_guard_destroys_attacks_within_its_budget_and_nothing_else(bench):
    frames, attacks = attacked_traffic(bench, BURST + 2)
    bench.ids.soft_reset()
    bench.ids.listen(1e6)
    bench.board.run((BURST + 1) * INTERVAL_CYCLES)  # the budget fills up
    arm(bench, KEY)
    before = bench.ids.counters
    accepted = second_node(bench, frames)
    counters = bench.ids.counters
    bench.ids.stop_listening()
    # The budget is for so many; the kill after it is refused and locks the guard, so the rest comes through.
    through = np.flatnonzero(attacks)[BURST:]
    wanted = [int(frames.identifier[row]) for row in range(len(frames)) if not attacks[row] or row in through]
    assert accepted == wanted
    assert counters["kills"] - before["kills"] == BURST
    assert bench.ids.guard.state["LOCKED_OUT"]
    assert bench.ids.next_verdicts(0).killed.tolist() == attacks.tolist()
    bench.ids.guard.disarm()


@pytest.mark.parametrize("key", [0, KEY ^ 1])
def test_without_the_key_nothing_is_transmitted(bench, key):
    frames, _ = attacked_traffic(bench, 2)
    bench.ids.listen(1e6)
    with pytest.raises(ValueError, match="is not the key of the guard"):
        arm(bench, key)
    bench.ids.write_fields("MODE", GUARD_ENABLE=1)
    assert second_node(bench, frames) == frames.identifier.tolist()
    assert {level for _, level in bench.board.pins.changes("can_tx")} == {1}
    bench.ids.stop_listening()
    bench.ids.next_verdicts(0)
