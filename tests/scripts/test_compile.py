"""`colonnade compile`: what it refuses, in a line."""

import pytest
from typer.testing import CliRunner

from models.detector.zoo import detector_names, load_detector
from scripts.main import app


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = load_detector(detector_names()[-1]).path
    (tmp_path / "damaged.onnx").write_bytes(shipped.read_bytes()[:1000])

    def compiled(*options: str, model: str = str(shipped)):
        return CliRunner().invoke(app, ["compile", model, "--size", "32", "--engine", "sim", *options])

    return compiled


def test_a_binary_is_written(compiled, tmp_path):
    result = compiled("--output", "small.tile")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "small.tile").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--output", "/proc/nowhere/a.tile"), "cannot be written: [Errno 2]"),
        (("--roofline", "a.xyz"), "'xyz' is not supported"),
        (("--engine", "huge"), "there is no engine preset 'huge'; use one of sim"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(compiled, options, message):
    result = compiled(*options)
    assert result.exit_code == 1, result.output
    assert message in result.output
    assert isinstance(result.exception, SystemExit)


def test_a_damaged_model_is_named_once(compiled):
    result = compiled(model="damaged.onnx")
    assert result.exit_code == 1
    assert result.output.count("damaged.onnx") == 1
    assert "is it a whole ONNX file?" in result.output
