"""The driver on the overlay itself: what the contract's model in conftest promises must hold here too."""

import asyncio

import numpy as np
import pytest
from pynq import Overlay

from host.accelerator import AcceleratorError
from host.ids.board import alert_rule
from host.ids.driver import ModelRefused
from host.ids.fabric import FabricBoard
from host.ids.golden import GoldenBoard
from host.ids.guard import GuardPolicy, GuardWarning
from host.ids.records import UNJUDGED, Verdicts
from host.ids.weights import model_hash, pipeline_shape, weight_image
from models.can_ids.generator import generate
from models.can_ids.zoo import load_model
from sim.board import Fault, MemoryModel

WRONG_KEY = 1


@pytest.fixture(scope="module")
def frames():
    drive = generate(seconds=0.5, seed=3, attacks=("dos", "fuzzing"))[:600]
    drive.extended[5] = True
    drive.remote[77:80] = True
    drive.dlc[77:80], drive.data[77:80] = 0, 0
    return drive


@pytest.fixture
def ids(make_board, packaged):
    board = make_board(packaged)
    ids = Overlay(board.bitfile).ids
    ids.open(chunk_frames=64)
    ids.board = board
    yield ids
    ids.close()


def assert_golden(got: Verdicts, frames, ours, *, threshold: int = 3) -> None:
    expected = GoldenBoard(ours, alert_rule(ours, threshold=threshold)).judge(frames)
    for column in ("verdict", "score", "alert"):
        assert np.array_equal(getattr(got, column), getattr(expected, column)), column


def test_identity_shape_and_replay(ids, ours, frames):
    identity = ids.identify()
    assert identity.model_hash == model_hash(ours)
    assert pipeline_shape(ids.parameters, shape_hash=identity.shape_hash).classes == ids.classes == 4
    ids.alert_on((1, 2, 3), threshold=3)
    got = Verdicts.concatenate(list(ids.replay([frames[:100], frames[100:]])))
    assert_golden(got, frames, ours)
    assert got.sequence.tolist() == list(range(600))
    assert (np.diff(got.cycle.astype(np.int64)) > 0).all()
    assert ids.counters["frames_unjudged"] == (got.verdict == UNJUDGED).sum() == 4
    assert sum(ids.counters[f"class_{index}"] for index in range(4)) == 596
    alerts = ids.pop_alerts()
    rows = np.flatnonzero(got.alert)
    assert np.array_equal(alerts.sequence, rows[:16])
    assert ids.alerts_lost == len(rows) - 16


def test_replay_by_interrupt_and_given_up_half_way(make_board, packaged, ours, frames):
    board = make_board(packaged)

    async def main():
        ids = Overlay(board.bitfile).ids
        ids.open(chunk_frames=128)
        ids.alert_on((1, 2, 3), threshold=3)
        batches = ids.replay_async([frames])
        await anext(batches)
        await batches.aclose()
        assert not ids.status.busy
        got = [verdicts async for verdicts in ids.replay_async([frames])]
        ids.listen(1_000_000)
        assert len(await ids.next_verdicts_async(timeout_s=0.01)) == 0  # a quiet bus
        ids.close()
        return Verdicts.concatenate(got)

    assert_golden(asyncio.run(main()), frames, ours)


@pytest.mark.parametrize("kept", ["reads", "writes"])
def test_an_error_of_memory_is_named_and_healed(ids, ours, frames, kept):
    place = ids._replay._buffers[0] if kept == "reads" else ids.ring._memory
    address = place.device_address + 256
    ids.board.memory = MemoryModel(
        faults=(Fault(address=address, **{"reads": False, "writes": False, kept: True}),)
    )
    cause = "read" if kept == "reads" else "write"
    with pytest.raises(AcceleratorError, match=f"reports {cause} at address {address:#x}"):
        list(ids.replay([frames], timeout_s=2.0))
    ids.board.memory = MemoryModel()
    ids.alert_on((1, 2, 3), threshold=3)
    assert_golden(Verdicts.concatenate(list(ids.replay([frames]))), frames, ours)


def test_a_damaged_model_is_refused_and_a_good_one_taken(ids, ours, frames):
    image = weight_image(ours, pipeline_shape(ids.parameters, shape_hash=ids.identify().shape_hash))
    damaged = image[:40] + bytes([image[40] ^ 1]) + image[41:]
    with pytest.raises(ModelRefused, match="checksum is wrong"):
        ids.load_weights(damaged)
    assert not ids.identify().weights_valid
    with pytest.raises(ModelRefused, match="other shapes"):
        ids.load_weights(image[:4] + b"\1\2\3\4" + image[8:])
    assert ids.load_weights(image).weights_valid
    ids.alert_on((1, 2, 3), threshold=3)
    assert_golden(Verdicts.concatenate(list(ids.replay([frames]))), frames, ours)


def test_the_pipeline_s_board_swaps_the_model(make_board, packaged, frames):
    make_board(packaged)
    model = load_model("generated")
    board = FabricBoard(model, alert_rule(model, threshold=3), chunk_frames=256)
    assert model_hash(model) in board.facts["model"]
    assert_golden(board.judge(frames), frames, model)
    board.close()


def test_a_wrong_key_leaves_the_guard_off(ids):
    assert (ids.guard.budget, ids.guard.interval_s) == (8, pytest.approx(0.1, rel=1e-4))
    with pytest.warns(GuardWarning), pytest.raises(ValueError, match="is not the key of the guard"):
        ids.guard.arm(GuardPolicy(key=WRONG_KEY, classes=(1,)))
    assert ids.read_fields("MODE")["GUARD_ENABLE"] == 0
