"""The three verbs of the intrusion models, without a data folder."""

import json

import pytest
from typer.testing import CliRunner

from scripts.main import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Invoke the program with its output folders in `tmp_path` and no captures to be found."""
    (tmp_path / "no_data").mkdir()
    monkeypatch.setenv("COLONNADE_DATA", str(tmp_path / "no_data"))
    monkeypatch.setattr("scripts.train.ROOT", tmp_path)
    monkeypatch.setattr("scripts.figures.REPORTS", tmp_path / "reports")
    monkeypatch.setattr("models.can_ids.material.GENERATED_DRIVES", 1)
    monkeypatch.setattr("models.can_ids.material.GENERATED_SECONDS", 20.0)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_train_without_captures_on_generated_traffic_then_evaluate(run, tmp_path):
    trained = run("train", "can_ids", "--model", "generated", "--steps", 20, "--out", tmp_path)
    assert trained.exit_code == 0, trained.output
    model = tmp_path / "can_ids_generated.onnx"
    assert model.is_file()
    assert "nothing real: 1 drives of 20 s" in model.with_suffix(".md").read_text()
    assert not list((tmp_path / "build").rglob("*.pt")), "the checkpoint of a finished run must go"

    judged = run("evaluate", "can_ids", "--model", model, "--out", tmp_path / "out")
    assert judged.exit_code == 0, judged.output
    figures = json.loads((tmp_path / "reports" / "evaluate.json").read_text())["figures"]
    assert {"can_ids.reader_lines_per_s", "can_ids.generated.weight_bits"} <= set(figures)
    captures = json.loads((tmp_path / "out" / "evaluation.json").read_text())["captures"]
    assert [capture["capture"] for capture in captures] == ["generated"]
    pictures = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert pictures == ["can_ids_generated_frames.png", "can_ids_generated_windows.png", "can_ids_roc.png"]


def test_what_is_judged_on_traffic_of_another_car_is_not_kept(run, tmp_path):
    judged = run("evaluate", "can_ids", "--model", "ours", "--out", tmp_path / "out")
    assert judged.exit_code == 0, judged.output
    assert "a car that it was not trained on" in " ".join(judged.output.split())
    assert "ours: windows of 4 frames, single frames" in judged.output
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "reports").exists()


def test_judging_one_model_leaves_what_was_found_of_others(run, tmp_path):
    other = {"figures": {"can_ids.ours.fpr": 0.5}, "captures": [{"model": "ours"}, {"model": "generated"}]}
    (tmp_path / "evaluation.json").write_text(json.dumps(other))
    judged = run("evaluate", "can_ids", "--model", "generated", "--out", tmp_path)
    assert judged.exit_code == 0, judged.output
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert [row["model"] for row in content["captures"]] == ["ours", "generated"]
    assert content["captures"][1]["group"] == "generated"
    assert content["figures"]["can_ids.ours.fpr"] == 0.5
    assert "can_ids.generated.generated.fpr" in content["figures"]


def test_train_for_the_users_own_capture(run, tmp_path):
    log = tmp_path / "my_drive.log"
    assert run("generate", "can", "--vehicle", 2, "--seconds", 20, "--out", log).exit_code == 0
    options = ("--steps", 10, "--capture", log, "--out", tmp_path)
    trained = run("train", "can_ids", *options)
    assert trained.exit_code == 0, trained.output
    card = (tmp_path / "can_ids_ours_my_drive.md").read_text()
    assert "--capture my_drive.log --steps 10" in card
    assert "injected attacks" in card
    assert (
        "- capture: a benign capture; **its attacks were injected afterwards**; test: its last 30 %." in card
    )
    assert "nothing of it real" not in card


def test_search_without_captures_plots_a_front(run, tmp_path):
    options = ("--trials", 2, "--steps", 2, "--study", tmp_path / "journal", "--out", tmp_path)
    searched = run("search", "can_ids", *options)
    assert searched.exit_code == 0, searched.output
    assert json.loads((tmp_path / "pareto.json").read_text())["trials"] == 2
    assert (tmp_path / "can_ids_pareto.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "can_ids", "--model", "best"), "no recipe 'best'"),
        (("train", "can_ids", "--model", "ours"), "no folder 'can'"),
        (("evaluate", "can_ids", "--model", "best"), "no CAN model 'best'"),
        (("train", "detector_9"), "'detector_9'"),
    ],
)
def test_mistakes_are_answered_and_not_traced(run, words, message):
    answer = run(*words)
    assert answer.exit_code != 0
    assert message in " ".join(answer.output.split())
    assert answer.exception is None or isinstance(answer.exception, SystemExit)
