"""The examples of docs/program.md run as they stand."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "program.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_a_program_by_hand():
    names: dict = {}
    exec(BLOCKS[0], names)
    assert (names["program"].tensors["a"].bits, names["program"].tensors["a"].signed) == (5, True)
    # Inputs 2, 1 give sums 1, 3 and levels 1, 1; inputs -2, 7 (clamped from 8) give -9, 5 and levels 0, 1.
    assert names["classes"].tolist() == [[0], [1]]


def test_training_and_export(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("brevitas")
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[1], {})
