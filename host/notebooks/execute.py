"""Run a notebook from its first cell to its last, as Jupyter's "Run all" does, and keep what came out.

`python -m host.notebooks.execute NOTEBOOK [RESULT]` on a board; without one,
`colonnade simulate NOTEBOOK --overlay ...`. IPython alone does it, which comes with pynq: no kernel, no port.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import json
import re
import sys
import traceback
from pathlib import Path
from typing import Any

__all__ = ["NotebookError", "execute", "execute_file", "read_notebook"]

RESULTS = Path("build") / "notebooks"
#: Colours of a terminal, which a traceback's lines may have and a message should not.
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(RuntimeError):
    """A cell that raised; the message names it and ends with its own traceback."""


def read_notebook(path: Path) -> dict[str, Any]:
    """The content of an .ipynb of format 4."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{str(path)!r} is no notebook: {error}; save it again from Jupyter") from error
    if not isinstance(content, dict) or content.get("nbformat") != 4:
        raise ValueError(f"{str(path)!r} is no notebook of format 4; open it in Jupyter and save it again")
    return content


def execute_file(path: Path, result: Path | None = None) -> Path:
    """Run `path`, and write it with all outputs, the failing cell's too, to `result`."""
    result = result or RESULTS / path.name
    notebook = copy.deepcopy(read_notebook(path))
    result.parent.mkdir(parents=True, exist_ok=True)
    try:
        execute(notebook, name=path.name)
    finally:
        partial = result.with_suffix(".partial")
        partial.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(result)
    return result


def execute(notebook: dict[str, Any], *, name: str = "notebook") -> None:
    """Fill in the outputs of every code cell, in place. Raises `NotebookError` at the first that fails.

    Cells run inside of an event loop, as they do in Jupyter, so that `await` works and nothing else may own
    the loop.
    """
    asyncio.run(_execute(notebook, name))


async def _execute(notebook: dict[str, Any], name: str) -> None:
    shell = _shell()
    codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in codes:
        cell["outputs"], cell["execution_count"] = [], None
    try:
        for number, cell in enumerate(codes, 1):
            failure = await _run_cell(shell, cell, number)
            if failure is not None:
                raise NotebookError(f"{name}: code cell {number} of {len(codes)} failed\n{failure}")
    finally:
        type(shell).clear_instance()


async def _run_cell(shell: Any, cell: dict[str, Any], number: int) -> str | None:
    """The traceback of a cell that raised."""
    source, stdout, stderr = "".join(cell["source"]), io.StringIO(), io.StringIO()
    shell.collected = []
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        result = await shell.run_cell_async(source, transformed_cell=shell.transform_cell(source))
    streams = (("stdout", stdout), ("stderr", stderr))
    cell["outputs"] = [_stream(name, text.getvalue()) for name, text in streams if text.getvalue()]
    quiet = source.rstrip().endswith(";")
    for output in shell.collected:
        if quiet and output["output_type"] == "execute_result":
            continue
        numbered = {"execution_count": number} if output["output_type"] == "execute_result" else {}
        cell["outputs"].append(output | numbered)
    cell["execution_count"] = number
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return None
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    output = {"output_type": "error", "ename": type(error).__name__, "evalue": str(error)}
    cell["outputs"].append(output | {"traceback": [line.rstrip("\n") for line in lines]})
    return ESCAPES.sub("", "".join(lines))


def _stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text.splitlines(keepends=True)}


def _shell() -> Any:
    """An IPython without a terminal, which collects what cells display and what they end with."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets import Type
    from traitlets.config import Config

    class Publisher(DisplayPublisher):
        def publish(self, data: Any, metadata: Any = None, *_: Any, **__: Any) -> None:
            output = {"output_type": "display_data", "data": data, "metadata": metadata or {}}
            Shell.instance().collected.append(output)

    class Hook(DisplayHook):
        def __call__(self, result: Any = None) -> None:
            if result is None:
                return
            shell = Shell.instance()
            formatter: Any = shell.display_formatter
            data, metadata = formatter.format(result)
            if data:
                shell.collected.append({"output_type": "execute_result", "data": data, "metadata": metadata})

    class Shell(InteractiveShell):
        displayhook_class = Type(Hook)
        display_pub_class = Type(Publisher)
        collected: list[dict[str, Any]]

        def showtraceback(self, *_: Any, **__: Any) -> None:
            """The caller tells it, once."""

        def showsyntaxerror(self, *_: Any, **__: Any) -> None:
            """Likewise."""

    config = Config()
    config.HistoryManager.enabled = False
    Shell.clear_instance()
    return Shell.instance(config=config)


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        sys.stderr.write("python -m host.notebooks.execute NOTEBOOK [RESULT]\n")
        return 2
    try:
        written = execute_file(*map(Path, arguments))
    except NotebookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"executed: {written}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
