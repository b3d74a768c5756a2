"""Every notebook, from its first cell to its last, on the simulated board; committed without outputs."""

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from host.notebooks.execute import read_notebook

FOLDER = Path(__file__).parents[3] / "host" / "notebooks"
OVERLAYS = {"intrusion_detection": "ids", "object_detection": "tile"}


def test_the_list_above_is_complete():
    assert set(OVERLAYS) == {path.stem for path in FOLDER.glob("*.ipynb")}


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_notebook_is_committed_clean_and_knows_nothing_of_simulation(name):
    content = read_notebook(FOLDER / f"{name}.ipynb")
    cells = content["cells"]
    codes = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in codes] == [([], None)] * len(codes)
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in codes:
        assert len(cell["source"]) <= 25, (
            f"a cell of {len(cell['source'])} lines is long: {cell['source'][0]}"
        )
        assert not re.search(
            r"\b(sim|hw|scripts)\.\w+ import|^import (sim|hw|scripts)", "".join(cell["source"])
        )
    # Words that teach: every code cell but the first has a text before it.
    kinds = [cell["cell_type"] for cell in cells]
    assert all(before == "markdown" for before, kind in itertools.pairwise(kinds) if kind == "code")


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_notebook_runs_on_the_simulated_board(name, tmp_path):
    result = tmp_path / "executed.ipynb"
    program = [sys.executable, "-m", "scripts.main", "simulate", str(FOLDER / f"{name}.ipynb"), str(result)]
    done = subprocess.run(
        [*program, "--overlay", OVERLAYS[name]], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    codes = [cell for cell in read_notebook(result)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in codes] == list(range(1, len(codes) + 1))
    outputs = [output for cell in codes for output in cell["outputs"]]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    pictures = [key for output in outputs for key in output.get("data", {}) if key.startswith("image/")]
    assert len(pictures) >= 4


def test_a_notebook_that_fails_says_which_cell(tmp_path):
    source = (FOLDER / "intrusion_detection.ipynb").read_text()
    broken = tmp_path / "broken.ipynb"
    broken.write_text(source.replace('load_model(\\"generated\\")', 'load_model(\\"nonsense\\")'))
    program = [sys.executable, "-m", "scripts.main", "simulate", str(broken), "--overlay", "ids"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=600, cwd=tmp_path)
    assert done.returncode == 1
    assert "broken.ipynb: code cell 3 of" in done.stderr
    assert "there is no CAN model 'nonsense'" in done.stderr


def test_the_cell_for_a_jupyter_without_a_board_works_there(tmp_path):
    """In a process of its own, since the board stays until the kernel ends."""
    words = "".join(read_notebook(FOLDER / "intrusion_detection.ipynb")["cells"][0]["source"])
    (line,) = re.findall(r"^from sim\.board import .*$", words, re.MULTILINE)
    host = "from pynq import Overlay\nfrom host.copy import Copy\nfrom host.overlays import bitfile\n"
    cells = [line.replace('"ids"', '"copy"'), f'{host}hex(Overlay(bitfile("copy")).copy.read_word("ID"))']
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}
    content["cells"] = [code | {"source": [cell]} for cell in cells]
    path = tmp_path / "play.ipynb"
    path.write_text(json.dumps(content))
    program = [sys.executable, "-m", "host.notebooks.execute", str(path), str(tmp_path / "out.ipynb")]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    (output,) = read_notebook(tmp_path / "out.ipynb")["cells"][1]["outputs"]
    assert output["data"]["text/plain"] == "'0x434f4c4e'"
