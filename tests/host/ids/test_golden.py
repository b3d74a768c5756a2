"""The board without a board: windows over chunk borders, frames that are not judged, alerts."""

from dataclasses import replace

import numpy as np
import pytest

from host.ids.board import AlertRule, alert_rule, open_board
from host.ids.golden import GoldenBoard
from host.ids.records import UNJUDGED, Verdicts
from models.can_ids.features import Encoding, is_judged
from models.can_ids.frames import Frames
from models.can_ids.generator import generate


class FourFrames:
    """A model over four frames whose logits can be told by hand: counts of set identifier bits."""

    name = "four"
    classes = (0, 1, 2)
    encoding = Encoding(kind="bits", window=4)

    def logits(self, frames: Frames) -> np.ndarray:
        bits = self.encoding.windows(frames).reshape(-1, 4, 75)[:, :, :11].sum(axis=2).astype(int)
        return np.stack([np.full(len(bits), 11), bits.sum(axis=1), bits[:, 3] * 4], axis=1)


@pytest.fixture(scope="module")
def frames():
    frames = generate(seconds=1.0, seed=9, attacks=("fuzzing",))[:600]
    frames.extended[100:103] = True
    frames.remote[300] = True
    return frames


def by_hand(frames: Frames, rule: AlertRule) -> list[tuple]:
    counts, rows = [0, 0, 0, 0], []
    for row in range(len(frames)):
        if frames.extended[row] or frames.remote[row]:
            rows.append((UNJUDGED, 0, False))
            continue
        counts = [*counts[1:], int(frames.identifier[row]).bit_count()]
        logits = [11, sum(counts), 4 * counts[3]]
        verdict, score = logits.index(max(logits)), max(logits[1:]) - logits[0]
        rows.append((verdict, score, verdict in rule.classes and score >= rule.threshold))
    return rows


@pytest.mark.parametrize("chunk", [1, 7, 600])
def test_windows_go_on_over_chunks_and_start_from_zeros(frames, chunk):
    rule = AlertRule(classes=(1,), threshold=5)
    board = GoldenBoard(FourFrames(), rule)
    got = Verdicts.concatenate(list(board.replay(frames[i : i + chunk] for i in range(0, 600, chunk))))
    assert list(zip(got.verdict.tolist(), got.score.tolist(), got.alert.tolist(), strict=True)) == by_hand(
        frames, rule
    )
    assert got.sequence.tolist() == list(range(600))
    assert board.counters()["frames_unjudged"] == 4


def test_a_discarded_window_starts_from_zeros_again(frames):
    board = GoldenBoard(FourFrames(), AlertRule(classes=(1,), threshold=5))
    first = board.judge(frames[:50])
    board.discard_window()
    assert np.array_equal(board.judge(frames[:50]).score, first.score)


def test_only_unjudged_frames(ours):
    board = open_board("model", ours, alert_rule(ours))
    frames = Frames.zeros(3)
    frames.extended[:] = True
    assert (board.judge(frames).verdict == UNJUDGED).all()


def test_the_model_of_the_zoo_says_the_same_as_its_own_verdicts(ours, frames):
    usable = frames[is_judged(frames)]
    got = open_board("model", ours, alert_rule(ours, threshold=1)).judge(usable)
    expected = ours.verdicts(usable)
    assert np.array_equal([int(ours.classes[index]) for index in got.verdict], expected)


def test_rules_are_made_of_names(ours):
    rule = alert_rule(ours, classes=["Fuzzing", "dos"])
    assert rule == AlertRule(classes=(1, 2), threshold=ours.calibration.threshold)
    model = replace(ours, name="mine")
    with pytest.raises(
        ValueError, match=r"'mine' does not tell 'replay' .* classes are dos, fuzzing, spoofing"
    ):
        alert_rule(model, classes=["replay"])


def test_there_are_no_pins_without_a_board(ours):
    with pytest.raises(ValueError, match="no CAN pins to listen on at 500000 bit/s"):
        open_board("model", ours, alert_rule(ours)).listen(500_000)
    with pytest.raises(ValueError, match="a board is 'overlay' or 'model', not 'x'"):
        open_board("x", ours, alert_rule(ours))
