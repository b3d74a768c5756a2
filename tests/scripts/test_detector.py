"""The detector's verbs without a data folder: trained and judged on generated scenes."""

import json

import pytest
from typer.testing import CliRunner

from models.detector.recipes import RECIPES
from models.detector.zoo import load_detector
from scripts.main import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "no_data").mkdir()
    monkeypatch.setenv("COLONNADE_DATA", str(tmp_path / "no_data"))
    monkeypatch.setattr("scripts.detector.ROOT", tmp_path)
    monkeypatch.setattr("scripts.figures.REPORTS", tmp_path / "reports")
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_train_and_evaluate_without_photographs(run, tmp_path, monkeypatch):
    small = RECIPES["generated"].replace(batch=2, check_pictures=2, check_side=64)
    monkeypatch.setitem(RECIPES, "generated", small)
    monkeypatch.setattr("scripts.detector.SCENES", 30)
    monkeypatch.setattr("models.detector.evaluation.SCENES", 3)
    trained = run("train", "detector", "--model", "generated", "--steps", 2, "--out", tmp_path)
    assert trained.exit_code == 0, trained.output
    path = tmp_path / "detector_generated.onnx"
    assert (tmp_path / "detector_generated_curve.png").is_file()
    assert not list((tmp_path / "build").rglob("*.pt")), "the checkpoint of a finished run must go"
    assert "--model generated --steps 2" in path.with_suffix(".md").read_text()

    judged = run("evaluate", "detector", "--model", path, "--side", 64, "--exact", "--out", tmp_path / "out")
    assert judged.exit_code == 0, judged.output
    text = " ".join(judged.output.split())
    assert "voc2007_test_split" in text
    assert "COLONNADE_DATA" in text
    assert "differ on 0 of 3 pictures" in text
    results = json.loads((tmp_path / "out" / "detector_generated.json").read_text())
    assert results["models"]["integer"] == results["models"]["quantised"]
    assert (tmp_path / "out" / "detector_generated_sheet.png").is_file()
    figures = json.loads((tmp_path / "reports" / "evaluate_detector.json").read_text())["figures"]
    assert not [name for name in figures if "map" in name], "scenes give no figures of photographs"
    assert "Not evaluated on photographs" in path.with_suffix(".md").read_text()
    assert load_detector(path).program.input_shape == (12, 32, 32)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "detector", "--model", "best"), "no recipe 'best'"),
        (("train", "detector", "--model", "nano"), "voc2007_train"),
        (("train", "detector", "--capture", "drive.log"), "a capture is of CAN traffic"),
        (("evaluate", "detector", "--model", "best"), "no detector 'best'"),
    ],
)
def test_mistakes_are_answered_and_not_traced(run, words, message):
    answer = run(*words)
    assert answer.exit_code == 1
    assert message in " ".join(answer.output.split())
