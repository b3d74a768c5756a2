"""The driver against the overlay's contract: what is judged, and every way to go wrong."""

import asyncio
import gc
import itertools
import tracemalloc

import numpy as np
import pytest
from pynq import Overlay

from host.accelerator import AcceleratorError, AcceleratorTimeout
from host.ids.board import alert_rule
from host.ids.driver import ModelRefused
from host.ids.golden import GoldenBoard
from host.ids.guard import GuardPolicy, GuardWarning
from host.ids.records import UNJUDGED, Verdicts
from host.ids.weights import model_hash, weight_image
from models.can_ids.frames import Frames
from models.can_ids.generator import generate

KEY = 0x4B494C4C


@pytest.fixture(scope="module")
def frames():
    drive = generate(seconds=2.0, seed=3, attacks=("dos", "fuzzing"))[:3000]
    drive.extended[5] = True
    drive.remote[77:80] = True
    return drive


@pytest.fixture
def ids(rig):
    ids = Overlay(rig.bitfile).ids
    ids.open(chunk_frames=256)
    yield ids
    ids.close()


@pytest.fixture
def golden(ours, frames):
    return GoldenBoard(ours, alert_rule(ours, threshold=3)).judge(frames)


def assert_same(got: Verdicts, expected: Verdicts) -> None:
    for column in ("verdict", "alert", "score", "sequence"):
        assert np.array_equal(getattr(got, column), getattr(expected, column)), column


def test_identity(ids, rig, ours):
    identity = ids.identify()
    assert (identity.version, identity.design_hash) == ("1.0", 0x1234)
    assert (identity.model_hash, identity.shape_hash) == (model_hash(ours), rig.shape.digest)
    assert identity.weights_valid
    assert ids.classes == 5


@pytest.mark.parametrize("sizes", [[3000], [1, 255, 256, 257, 0, 2231]])
def test_replay_polling(ids, frames, golden, sizes):
    ids.alert_on((1, 2, 3), threshold=3)
    edges = np.cumsum([0, *sizes])
    chunks = (frames[start:end] for start, end in itertools.pairwise(edges))
    parts = list(ids.replay(chunks))
    got = Verdicts.concatenate(parts)
    assert max(map(len, parts)) == 256
    assert_same(got, golden)
    assert np.array_equal(got.frames.timestamp, frames.timestamp)
    assert np.array_equal(got.frames.attack, frames.attack)
    assert (got.verdict[[5, 77, 78, 79]] == UNJUDGED).all()
    assert golden.alert.any()


def test_replay_by_interrupt_lets_other_coroutines_run(rig, frames, golden):
    turns = []

    async def main():
        ids = Overlay(rig.bitfile).ids
        ids.open(chunk_frames=512)
        ids.alert_on((1, 2, 3), threshold=3)

        async def all_of_it():
            return [verdicts async for verdicts in ids.replay_async([frames])]

        job = asyncio.ensure_future(all_of_it())
        while not job.done():
            turns.append(1)
            await asyncio.sleep(0)
        ids.close()
        return Verdicts.concatenate(job.result())

    assert_same(asyncio.run(main()), golden)
    assert len(turns) > 5


def test_the_next_job_is_packed_while_one_runs(ids, rig, frames, monkeypatch):
    replay = ids._replay
    busy = []
    fill = replay.fill
    monkeypatch.setattr(replay, "fill", lambda part: (busy.append(ids.status.busy), fill(part)))
    list(ids.replay([frames[:1024]]))
    assert busy == [False, True, True, True]


def test_a_replay_that_nobody_wants_to_its_end_leaves_nothing_running(ids, frames, golden):
    ids.alert_on((1, 2, 3), threshold=3)
    batches = ids.replay([frames])
    next(batches)
    batches.close()
    assert not ids.status.busy
    assert ids.ring.pending == 0
    assert_same(Verdicts.concatenate(list(ids.replay([frames]))), golden)


def test_the_ring_goes_round_and_over_the_end_of_its_counts(ids, rig, frames):
    rig.overlay.head = 0xFFFF_FF00
    ids.ring.attach()
    got = Verdicts.concatenate(list(ids.replay([frames])))
    assert np.array_equal(got.sequence, np.arange(len(frames)))


def test_an_error_of_the_bus_names_its_address_and_the_next_replay_works(ids, rig, frames):
    good = ids._replay._buffers
    ids._replay._buffers = [type("Bad", (), {"device_address": 0x77_0000_0000})()] * 2
    ids._replay.fill = lambda part: setattr(ids._replay, "_filled", len(part))
    with pytest.raises(AcceleratorError, match="reports read at address 0x7700000000"):
        list(ids.replay([frames[:10]]))
    ids._replay._buffers = good
    del ids._replay.fill
    assert sum(map(len, ids.replay([frames[:10]]))) == 10


def test_an_overlay_that_hangs_is_given_up(ids, rig, frames):
    rig.overlay.hang = True
    with pytest.raises(AcceleratorTimeout, match=r"not done after 0\.01 s; busy; .*ring_dropped 0"):
        list(ids.replay([frames[:10]], timeout_s=0.01))
    rig.overlay.hang = False
    assert sum(map(len, ids.replay([frames[:10]]))) == 10


def test_verdicts_on_other_frames_are_noticed(ids, rig, frames, monkeypatch):
    judge = rig.overlay._judge
    monkeypatch.setattr(rig.overlay, "_judge", lambda records, pins: judge(records[::-1], pins=pins))
    with pytest.raises(RuntimeError, match="verdicts are about other frames than those replayed, first"):
        list(ids.replay([frames[:100]]))


def test_verdicts_that_were_dropped_are_noticed(ids, rig, frames, monkeypatch):
    monkeypatch.setattr("host.ids.replay.SETTLE_S", 0.01)
    ids.write_word("RING_SIZE", 64)
    with pytest.raises(RuntimeError, match=r"64 verdicts came of a replay of 100 frames; .* 36 as dropped"):
        list(ids.replay([frames[:100]]))


def test_counters_of_the_overlay(ids, frames):
    list(ids.replay([frames]))
    counters = ids.counters
    assert (counters["frames_accepted"], counters["frames_unjudged"]) == (3000, 4)
    assert sum(counters[f"class_{index}"] for index in range(5)) == 2996
    assert counters["cycles"] > 0
    assert ids.latency_cycles_max == 57


def test_another_model_of_the_same_shape(ids, rig, ours):
    words = weight_image(ours, rig.shape)
    rig.overlay.hash = 0
    assert ids.load_weights(words).model_hash == model_hash(ours)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda words: words[:8] + bytes([words[8] ^ 1]) + words[9:], "checksum is wrong"),
        (lambda words: words[:4] + b"\1\2\3\4" + words[8:], "other shapes than those this overlay"),
        (lambda words: words[:-4], "still waits for more of the model"),
    ],
)
def test_a_damaged_model_is_refused(ids, rig, ours, damage, message):
    with pytest.raises(ModelRefused, match=message):
        ids.load_weights(damage(weight_image(ours, rig.shape)), timeout_s=0.01)


def test_half_a_word_of_weights_is_refused(ids):
    with pytest.raises(ValueError, match="whole 32-bit words, not 7 bytes"):
        ids.load_weights(b"1234567")


def test_the_threshold_is_signed_and_bounded(ids, frames):
    ids.alert_on((1, 2, 3), threshold=-5)
    got = Verdicts.concatenate(list(ids.replay([frames])))
    attacks = (got.verdict != UNJUDGED) & (got.verdict > 0)
    assert np.array_equal(got.alert, attacks)
    with pytest.raises(ValueError, match="a signed number of 16 bits, not 32768"):
        ids.alert_on((1,), threshold=1 << 15)
    with pytest.raises(ValueError, match=r"attack classes are 1 to 4 \(0 is benign\), not 0"):
        ids.alert_on((0,), threshold=1)


def test_alerts_have_a_short_list_of_their_own(ids, frames, golden):
    ids.alert_on((1, 2, 3), threshold=3)
    list(ids.replay([frames]))
    alerts = ids.pop_alerts()
    expected = golden[np.flatnonzero(golden.alert)[:16]]
    assert np.array_equal(alerts.sequence, expected.sequence)
    assert np.array_equal(alerts.score, expected.score)
    assert np.array_equal(alerts.frames.data, expected.frames.data)
    assert ids.alerts_lost == golden.alert.sum() - 16
    assert len(ids.pop_alerts()) == 0


# The pins


def test_listening_polls_and_times_come_from_cycles(ids, rig, frames, golden):
    ids.alert_on((1, 2, 3), threshold=3)
    ids.listen(500_000)
    assert ids.read_fields("BIT_TIMING")["TSEG1"] >= 1
    rig.hear(frames[:100])
    got = ids.next_verdicts()
    assert_same(got, golden[:100])
    assert np.array_equal(got.frames.identifier, frames.identifier[:100])
    assert np.allclose(got.frames.timestamp, got.cycle / ids.clock_hz)
    assert len(ids.next_verdicts(timeout_s=0.01)) == 0
    ids.stop_listening()
    rig.hear(frames[:100])
    assert len(ids.next_verdicts(timeout_s=0.01)) == 0


def test_listening_by_interrupt(rig, frames):
    async def main():
        ids = Overlay(rig.bitfile).ids
        ids.open(chunk_frames=256)
        ids.listen(1_000_000)
        assert len(await ids.next_verdicts_async(timeout_s=0.02)) == 0
        waiting = asyncio.ensure_future(ids.next_verdicts_async(timeout_s=5.0))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        rig.hear(frames[:3])
        got = await waiting
        ids.close()
        return got

    assert len(asyncio.run(main())) == 3


def test_only_alerts_in_the_ring(ids, rig, frames, golden):
    ids.alert_on((1, 2, 3), threshold=3)
    ids.listen(500_000, everything=False)
    rig.hear(frames[:500])
    got = ids.next_verdicts()
    assert np.array_equal(got.sequence, np.flatnonzero(golden.alert[:500]))


def test_a_ring_that_nobody_empties_drops_and_counts(ids, rig, frames):
    ids.listen(500_000)
    rig.hear(frames[:600])
    got = ids.next_verdicts()
    assert np.array_equal(got.sequence, np.arange(512))
    assert ids.counters["ring_dropped"] == 88


def test_replay_and_pins_do_not_mix(ids, frames):
    ids.listen(500_000)
    with pytest.raises(RuntimeError, match=r"it listens to its CAN pins, .* stop_listening\(\) first"):
        next(ids.replay([frames]))


def test_a_soft_reset_keeps_listening_with_an_empty_ring(ids, rig, frames):
    ids.listen(500_000)
    rig.hear(frames[:10])
    ids.soft_reset()
    rig.hear(frames[:7])
    assert np.array_equal(ids.next_verdicts().sequence, np.arange(7))


# Guard


def test_the_guard_is_off_until_it_is_armed_with_the_key(ids, rig):
    assert ids.read_word("GUARD_KEY") == 0
    assert ids.read_fields("MODE")["GUARD_ENABLE"] == 0
    with pytest.warns(GuardWarning, match=r"GUARD MODE.*never use this on a public road"):
        ids.guard.arm(GuardPolicy(key=KEY, classes=(1, 3)))
    assert ids.read_word("GUARD_CLASSES") == 0b1010
    assert ids.guard.budget == 8
    assert ids.guard.interval_s == pytest.approx(0.1, rel=1e-4)
    assert ids.read_fields("MODE")["GUARD_ENABLE"] == 1
    ids.close()
    assert ids.read_word("GUARD_KEY") == 0
    assert ids.read_fields("MODE")["GUARD_ENABLE"] == 0
    ids.open()


def test_a_wrong_key_leaves_the_guard_off(ids):
    with (
        pytest.warns(GuardWarning),
        pytest.raises(ValueError, match="0x00000001 is not the key of the guard"),
    ):
        ids.guard.arm(GuardPolicy(key=1, classes=(1,)))
    assert ids.read_word("GUARD_KEY") == 0
    assert ids.read_fields("MODE")["GUARD_ENABLE"] == 0


# Memory


def test_memory_stays_flat_and_is_given_back(rig, frames):
    before = rig.free_bytes()
    ids = Overlay(rig.bitfile).ids
    ids.open(chunk_frames=256)
    with pytest.raises(ValueError, match="a power of two of records, not 100"):
        ids.open(ring_records=100)
    ids.open(chunk_frames=256)

    def many(count):
        for verdicts in ids.replay(frames[:256] for _ in range(count)):
            del verdicts

    def used():
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    many(5)
    tracemalloc.start()
    try:
        many(5)
        base = used()
        many(12)
        grown = used() - base
    finally:
        tracemalloc.stop()
    assert grown < 60 << 10  # of 12 batches, each of 13 KiB of frames and verdicts alone
    ids.close()
    assert rig.free_bytes() == before


def test_an_empty_source_is_no_job(ids):
    assert list(ids.replay([])) == []
    assert list(ids.replay([Frames.zeros(0)])) == []
