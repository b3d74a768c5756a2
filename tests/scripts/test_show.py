"""`colonnade show` lists a model, and says in one line why it cannot."""

import numpy as np
import pytest
import typer
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from scripts.show import command

QONNX = "qonnx.custom_op.general"


@pytest.fixture
def show():
    app = typer.Typer()
    app.command()(command)
    return lambda *arguments: CliRunner().invoke(app, [str(item) for item in arguments])


@pytest.fixture
def model(tmp_path):
    """One layer of two inputs and three outputs."""
    constants = {"one": 1.0, "zero": 0.0, "bits": 2.0, "weights": np.eye(2, 3)}
    graph = helper.make_graph(
        [
            helper.make_node("Quant", ["x", "one", "zero", "bits"], ["q"], domain=QONNX, signed=1, narrow=0),
            helper.make_node(
                "Quant", ["weights", "one", "zero", "bits"], ["w"], domain=QONNX, signed=1, narrow=1
            ),
            helper.make_node("MatMul", ["q", "w"], ["y"], name="only_layer"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()
    )
    return path


def test_table_picture_and_finn(show, model, tmp_path):
    picture = tmp_path / "net.png"
    result = show(model, "--picture", picture, "--finn")
    assert result.exit_code == 0, result.output
    for text in ("only_layer", "Dense", "every layer would be inside"):
        assert text in result.output
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), (b"no model at all", "is it a"), (b"", "is empty")]
)
def test_what_cannot_be_shown(show, tmp_path, content, message):
    path = tmp_path / "broken.onnx"
    if content is not None:
        path.write_bytes(content)
    result = show(path)
    assert result.exit_code == 1
    assert "cannot show" in result.stderr
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("picture", "message"), [("net.xyz", "'xyz' is not supported"), ("/proc/nowhere/net.png", "No such file")]
)
def test_a_picture_that_cannot_be_drawn(show, model, tmp_path, picture, message):
    result = show(model, "--picture", tmp_path / picture)
    assert result.exit_code == 1
    assert "cannot draw" in result.stderr
    assert message in result.stderr.replace("\n", " ")
