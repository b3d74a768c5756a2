"""The Verilated overlay as a Python object: ctypes over harness.cpp, nothing a cycle."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path
from types import MappingProxyType

import numpy as np

from sim.board.errors import BusError, ProtocolViolation
from sim.board.memory import MemoryModel
from sim.board.ports import TopPorts

__all__ = ["Model"]

_SLVERR, _DECERR, _NO_ANSWER, _VIOLATION, _INTERRUPT = 2, 3, 16, 17, 18
#: Cycles in which an overlay has to answer a host access; registers answer in a few.
ANSWER_LIMIT = 10_000
RESET_CYCLES = 8


class _Timing(Structure):
    _fields_ = [
        (name, c_uint32)
        for name in ("read_latency", "write_latency", "beat_cycles", "stall_threshold", "requests")
    ]


class _Statistics(Structure):
    _fields_ = [
        (name, c_uint64)
        for name in ("read_bursts", "write_bursts", "read_beats", "write_beats", "read_bytes", "write_bytes")
    ]


_WORDS, _BYTES = POINTER(c_uint64), POINTER(c_uint8)
_SIGNATURES = MappingProxyType(
    {
        "new": (c_void_p, [c_void_p, c_uint64, c_uint64, c_char_p]),
        "delete": (None, [c_void_p]),
        "reset": (None, [c_void_p, c_uint64]),
        "cycle": (c_uint64, [c_void_p]),
        "interrupt": (c_int, [c_void_p]),
        "run": (c_int, [c_void_p, c_uint64]),
        "run_until_interrupt": (c_int, [c_void_p, c_uint64]),
        "read": (c_int, [c_void_p, c_uint32, POINTER(c_uint32), c_uint64]),
        "write": (c_int, [c_void_p, c_uint32, c_uint32, c_uint64]),
        "timing": (None, [c_void_p, c_int, POINTER(_Timing), c_uint64]),
        "statistics": (None, [c_void_p, c_int, POINTER(_Statistics)]),
        "clear_faults": (None, [c_void_p]),
        "add_fault": (None, [c_void_p, c_uint64, c_uint64, c_uint32, c_int, c_int]),
        "violation": (c_char_p, [c_void_p, _WORDS]),
        "pin_play": (None, [c_void_p, c_uint32, c_uint64, c_uint64, c_void_p, c_void_p]),
        "pin_playing": (c_int, [c_void_p, c_uint32]),
        "pin_get": (None, [c_void_p, c_uint32, c_void_p]),
        "pin_record": (None, [c_void_p, c_uint32, c_int]),
        "pin_changes": (c_uint64, [c_void_p, c_uint32, POINTER(_WORDS), POINTER(_BYTES)]),
    }
)


class Model:
    """One powered-up instance of an overlay over `dram`, an array of bytes that starts at `dram_base`."""

    def __init__(
        self, library: Path, ports: TopPorts, *, dram: np.ndarray, dram_base: int, trace: Path | None = None
    ):
        functions = ctypes.CDLL(str(library))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(functions, f"board_{name}")
            function.restype, function.argtypes = result, arguments
        self._c = functions
        self._dram = dram  # the library keeps its address
        self.ports = ports
        path = None if trace is None else str(trace).encode()
        self._board: c_void_p | None = c_void_p(
            functions.board_new(dram.ctypes.data, dram_base, dram.nbytes, path)
        )
        functions.board_reset(self._board, RESET_CYCLES)

    def close(self) -> None:
        """Free the instance, and finish its waveform."""
        if self._board is not None:
            self._c.board_delete(self._board)
            self._board = None

    @property
    def cycle(self) -> int:
        return self._c.board_cycle(self._board)

    @property
    def interrupt(self) -> bool:
        """Level of the interrupt output in the latest cycle."""
        return bool(self._c.board_interrupt(self._board))

    def run(self, cycles: int) -> None:
        self._check(self._c.board_run(self._board, cycles))

    def run_until_interrupt(self, cycles: int) -> bool:
        """Run until the interrupt output is high, at most `cycles`; whether it is."""
        return self._check(self._c.board_run_until_interrupt(self._board, cycles)) == _INTERRUPT

    def read(self, offset: int) -> int:
        value = c_uint32()
        self._answered("read", offset, self._c.board_read(self._board, offset, byref(value), ANSWER_LIMIT))
        return value.value

    def write(self, offset: int, value: int) -> None:
        self._answered("write", offset, self._c.board_write(self._board, offset, value, ANSWER_LIMIT))

    def configure(self, memory: MemoryModel) -> None:
        """Take over timing, seed and faults, from the next cycle on."""
        write_latency = memory.latency if memory.write_latency is None else memory.write_latency
        stall_threshold = int(memory.stalls * 2**32)
        timing = _Timing(
            read_latency=memory.latency,
            write_latency=write_latency,
            beat_cycles=memory.beat_cycles,
            stall_threshold=stall_threshold,
            requests=memory.requests,
        )
        for index in range(-1, len(self.ports.masters)):
            self._c.board_timing(self._board, index, byref(timing), memory.seed * 1000 + index)
        self._c.board_clear_faults(self._board)
        for fault in memory.faults:
            last = fault.address + fault.length - 1
            self._c.board_add_fault(self._board, fault.address, last, fault.code, fault.reads, fault.writes)

    def statistics(self) -> dict[str, dict[str, int]]:
        """Bursts, beats and bytes that each master has moved since the download."""
        found = {}
        for index, name in enumerate(self.ports.masters):
            counts = _Statistics()
            self._c.board_statistics(self._board, index, byref(counts))
            found[name] = {field[0]: getattr(counts, field[0]) for field in _Statistics._fields_}
        return found

    def play_pin(self, index: int, start: int, values: np.ndarray, cycles: np.ndarray) -> None:
        self._c.board_pin_play(self._board, index, start, len(cycles), values.ctypes.data, cycles.ctypes.data)

    def pin_is_playing(self, index: int) -> bool:
        return bool(self._c.board_pin_playing(self._board, index))

    def pin_value(self, index: int) -> int:
        value = np.zeros(self.ports.pins[index].bytes, np.uint8)
        self._c.board_pin_get(self._board, index, value.ctypes.data)
        return int.from_bytes(value.tobytes(), "little")

    def record_pin(self, index: int, on: bool) -> None:
        self._c.board_pin_record(self._board, index, on)

    def pin_changes(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Cycle numbers, and the value from each on as little-endian bytes, a row each."""
        width = self.ports.pins[index].bytes
        cycles, values = _WORDS(), _BYTES()
        count = self._c.board_pin_changes(self._board, index, byref(cycles), byref(values))
        if count == 0:
            return np.zeros(0, np.uint64), np.zeros((0, width), np.uint8)
        return (
            np.ctypeslib.as_array(cycles, (count,)).copy(),
            np.ctypeslib.as_array(values, (count, width)).copy(),
        )

    def _check(self, outcome: int) -> int:
        if outcome == _VIOLATION:
            cycle = c_uint64()
            rule = self._c.board_violation(self._board, byref(cycle)).decode()
            raise ProtocolViolation(
                f"{rule} in cycle {cycle.value:,}; a waveform (trace) shows the cycles before"
            )
        return outcome

    def _answered(self, kind: str, offset: int, outcome: int) -> None:
        outcome = self._check(outcome)
        if outcome == _NO_ANSWER:
            raise BusError(
                f"the overlay did not answer the {kind} at offset {offset:#x} within {ANSWER_LIMIT:,} cycles "
                f"(now cycle {self.cycle:,}); a real processor would hang here"
            )
        if outcome in (_SLVERR, _DECERR):
            name = "SLVERR" if outcome == _SLVERR else "DECERR"
            raise BusError(
                f"the overlay answered the {kind} at offset {offset:#x} with {name}: no register is there, "
                "or it cannot be accessed that way; a real board raises SIGBUS"
            )
