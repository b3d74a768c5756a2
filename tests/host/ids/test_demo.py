"""The demo of the overlay, on the contract's model and on the simulated board."""

import json
import re

import numpy as np
import pytest

from host.demos import ids as demo
from host.ids.story import confusion, cycles_between
from models.can_ids.evaluation import generated_captures
from models.can_ids.frames import Attack
from models.can_ids.generator import generate
from models.can_ids.zoo import load_model


@pytest.fixture
def short(monkeypatch):
    """A second of the drive is as good as eight."""

    class Short(demo.GeneratedSource):
        def __init__(self, **arguments):
            super().__init__(**(arguments | {"seconds": 1.0}))

    monkeypatch.setattr(demo, "GeneratedSource", Short)
    monkeypatch.setattr(demo, "PREFERRED_MODELS", ("ours",))
    return generate(vehicle_number=1, seconds=1.0, seed=4, attacks=("dos", "fuzzing", "spoofing"))


def assert_told(output: str, page: str, drive) -> None:
    assert f"{len(drive):,} frames, model ours" in output
    assert "power: none measured" in output
    assert page.count("<svg") == 5
    assert "on the pins" in page.lower() or "Replay: the overlay takes a frame every" in page
    truths = {attack.name.lower() for attack in Attack if (drive.attack == attack).any()}
    assert truths <= set(re.findall(r">([a-z]+)</text>", page))


def test_a_model_of_the_generator_s_car_gets_rows_that_no_training_saw(monkeypatch):
    monkeypatch.setattr(demo, "SECONDS", 2.0)
    model = load_model("generated")
    (frames,) = demo.drive(model).chunks()
    assert set(frames.attack.tolist()) == {Attack.BENIGN, Attack.DOS, Attack.FUZZING, Attack.SPOOFING}
    assert np.array_equal(frames.data, generated_captures(model.vehicle, seconds=2.0)[0].frames.data)


def test_on_the_contract_s_model(rig, short, tmp_path, capsys):
    demo.main(tmp_path / "report.html")
    assert_told(capsys.readouterr().out, (tmp_path / "report.html").read_text(), short)
    times = json.loads((tmp_path / "ids" / "demo.json").read_text())
    assert 0 < sum(times["counts"]) < len(short)
    assert min(times["cycles"]) > 0
    assert sum(times["attacks"]) == np.count_nonzero(short.attack)
    assert sum(times["alerts"]) <= sum(times["named"]) <= len(short)


def test_on_the_simulated_board(make_board, packaged, short, tmp_path, capsys):
    make_board(packaged)
    demo.main(tmp_path / "report.html")
    assert_told(capsys.readouterr().out, (tmp_path / "report.html").read_text(), short)


def test_confusion_and_cycles_are_of_judged_frames(ours):
    from host.ids.board import AlertRule
    from host.ids.golden import GoldenBoard

    frames = generate(seconds=0.5, seed=1)[:10]
    frames.extended[0] = True
    frames.attack[:4] = [Attack.DOS, Attack.DOS, Attack.REPLAY, Attack.BENIGN]
    verdicts = GoldenBoard(ours, AlertRule(classes=(1,), threshold=0)).judge(frames)
    verdicts.verdict[1:4] = [1, 2, 0]
    verdicts.verdict[4:] = 0
    counts, truths = confusion(ours, verdicts)
    assert truths == ["benign", "dos", "replay"]
    assert counts.tolist() == [[7, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    assert len(cycles_between(verdicts)) == 0
    verdicts.cycle[:] = np.array([0, 10, 21, 31, 41, 9000, 9010, 9020, 9031, 9041])
    assert cycles_between(verdicts).tolist() == [10, 11, 10, 10, 10, 10, 11, 10]
