"""Programs that a flow runs: found by name, run with a log, and answered for in one line when they fail."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["FlowError", "MissingTool", "Tool", "require", "run"]

#: What the first telling line of a failed program's log looks like.
_ERROR = re.compile(r"^\s*(?:\[[^]]*\]\s*)?(?:ERROR|FATAL|error|fatal error|Error|Traceback)\b.*", re.M)
_EXCERPT = 300


class FlowError(Exception):
    """A build that came to nothing. The message says which step, why, and what to read or do."""


class MissingTool(FlowError):
    """A program or database that the user's machine lacks."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program that goes by several names."""

    names: tuple[str, ...]  #: the first that is found is run
    remedy: str  #: how to get it
    version_option: str = "--version"

    @property
    def name(self) -> str:
        return self.names[0]

    def find(self) -> Path | None:
        """The program, on PATH or beside this Python, where pip installs programs."""
        places = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
        for name in self.names:
            found = shutil.which(name, path=places)
            if found:
                return Path(found)
        return None

    @property
    def version(self) -> str:
        """What the program says of itself: part of the key of everything it made."""
        found = self.find()
        return "" if found is None else _version(str(found), self.version_option)


@cache
def _version(program: str, option: str) -> str:
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def require(tools: Sequence[Tool], *, purpose: str) -> None:
    """Refuse to start what cannot be finished, and name everything that is missing at once."""
    missing = [tool for tool in tools if tool.find() is None]
    if missing:
        lines = "\n".join(f"  {tool.name}: {tool.remedy}" for tool in missing)
        raise MissingTool(f"{purpose} needs programs that are not installed:\n{lines}")


def run(
    tool: Tool,
    arguments: Sequence[str | Path],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run `tool` in `folder`; its output goes to `log` and is returned. Nothing it started outlives us."""
    program = tool.find()
    if program is None:
        raise MissingTool(f"{tool.name} is not installed: {tool.remedy}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(program), *map(str, arguments)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else {**os.environ, **environment},
            start_new_session=True,  # so that its children can be ended with it
        )
        try:
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    text = log.read_text(errors="replace")
    if status:
        raise FlowError(f"{tool.name} failed: {telling_line(text, status)}; read {log}")
    return text


def telling_line(text: str, status: int) -> str:
    """The line of a log that says what went wrong, or what else is known."""
    found = _ERROR.search(text)
    if found:
        return found.group(0).strip()[:_EXCERPT]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ended = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"{ended}, last line {lines[-1][:_EXCERPT]!r}" if lines else f"{ended} without a word"


def _end(process: subprocess.Popen[bytes]) -> None:
    for way in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, way)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
