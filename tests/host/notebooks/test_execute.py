"""Notebooks run headless: what each cell says is kept, the first failure ends it, by number and traceback."""

import asyncio
import json

import pytest

from host.notebooks.execute import NotebookError, execute, execute_file, main, read_notebook


def notebook(*sources):
    code = {"cell_type": "code", "metadata": {}, "outputs": ["stale"], "execution_count": 7}
    cells = [code | {"source": source.splitlines(keepends=True)} for source in sources]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def outputs(content):
    return [cell["outputs"] for cell in content["cells"]]


def test_prints_displays_and_last_values_are_kept_in_their_cells():
    content = notebook(
        "print('one')\n40 + 2",
        "from IPython.display import SVG, display\ndisplay(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))",
        "import sys\nsys.stderr.write('careful\\n');",
    )
    execute(content)
    first, second, third = outputs(content)
    assert first[0] == {"output_type": "stream", "name": "stdout", "text": ["one\n"]}
    assert first[1]["output_type"] == "execute_result"
    assert (first[1]["data"]["text/plain"], first[1]["execution_count"]) == ("42", 1)
    assert second[0]["output_type"] == "display_data"
    assert second[0]["data"]["image/svg+xml"].startswith("<svg")
    assert third == [{"output_type": "stream", "name": "stderr", "text": ["careful\n"]}]
    assert [cell["execution_count"] for cell in content["cells"]] == [1, 2, 3]


def test_cells_share_names_and_may_await_in_a_loop_that_is_running():
    content = notebook(
        "import asyncio\nx = 1", "await asyncio.sleep(0)\nasyncio.get_running_loop() and x + 1"
    )
    execute(content)
    assert outputs(content)[1][0]["data"]["text/plain"] == "2"


def test_markdown_is_left_alone_and_a_second_run_starts_afresh():
    content = notebook("x = 1")
    content["cells"].insert(0, {"cell_type": "markdown", "metadata": {}, "source": ["1 / 0"]})
    execute(content)
    assert content["cells"][0] == {"cell_type": "markdown", "metadata": {}, "source": ["1 / 0"]}
    with pytest.raises(NotebookError, match="name 'x' is not defined"):
        execute(notebook("x"))


@pytest.mark.parametrize(("source", "error"), [("1 / 0", "ZeroDivisionError"), ("1 +", "SyntaxError")])
def test_the_first_failing_cell_ends_the_run_and_is_named(source, error):
    content = notebook("1", source, "print('never')")
    with pytest.raises(NotebookError, match=rf"drive.ipynb: code cell 2 of 3 failed[\s\S]*{error}"):
        execute(content, name="drive.ipynb")
    assert outputs(content)[1][-1]["ename"] == error
    assert outputs(content)[2] == []


def test_the_result_is_written_beside_nothing_else_and_the_source_stays_as_it_was(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(notebook("6 * 7", "1 / 0")))
    before = path.read_bytes()
    with pytest.raises(NotebookError):
        execute_file(path, tmp_path / "out" / "b.ipynb")
    assert path.read_bytes() == before
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["b.ipynb"]
    written = read_notebook(tmp_path / "out" / "b.ipynb")
    assert outputs(written)[0][0]["data"]["text/plain"] == "42"
    assert outputs(written)[1][0]["ename"] == "ZeroDivisionError"


@pytest.mark.parametrize("content", ["not json", "[]", '{"nbformat": 3}'])
def test_what_is_no_notebook_is_refused_with_a_remedy(tmp_path, content):
    path = tmp_path / "a.ipynb"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"a.ipynb' is no notebook.*Jupyter"):
        read_notebook(path)


def test_the_exit_code_says_how_it_went(tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    for source, code in (("1", 0), ("1 / 0", 1)):
        path.write_text(json.dumps(notebook(source)))
        assert main([str(path), str(tmp_path / "b.ipynb")]) == code
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert main([]) == 2


def test_no_loop_and_no_shell_are_left_behind():
    execute(notebook("1"))
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    from IPython.core.interactiveshell import InteractiveShell

    assert not InteractiveShell.initialized()
