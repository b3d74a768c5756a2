"""The pins of an overlay: inputs played from run-length lists, outputs recorded, both in C++."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sim.board.board import Board

__all__ = ["Pins"]


class Pins:
    """Pins of the overlay that is loaded, by the name of their port."""

    def __init__(self, board: Board):
        self._board = board

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(pin.name for pin in self._board.model.ports.pins)

    def get(self, name: str) -> int:
        """The level now."""
        return self._board.model.pin_value(self._index(name))

    def set(self, name: str, value: int) -> None:
        """Drive an input from now on."""
        self.play(name, [(value, 1)])

    def play(
        self, name: str, runs: Iterable[tuple[int, int]] | np.ndarray, *, start: int | None = None
    ) -> int:
        """Drive an input with `value` for `cycles`, for each pair of `runs`; the last value stays.

        `start` is the first cycle, by default the next. Returns the cycle after the last run. What was being
        played before on this pin ends at once.
        """
        index = self._index(name, output=False)
        pin, now = self._board.model.ports.pins[index], self._board.model.cycle
        start = now if start is None else start
        if start < now:
            raise ValueError(f"pin {name!r}: cycle {start!r} has passed, it is cycle {now!r}")
        table = runs if isinstance(runs, np.ndarray) else np.array(list(runs), object).reshape(-1, 2)
        values, cycles = table[:, 0], table[:, 1]
        if len(table) == 0 or cycles.min() < 1:
            raise ValueError(f"pin {name!r}: runs need at least one pair, and a cycle or more in each")
        for extreme in (values.min(), values.max()):
            if not 0 <= extreme < 1 << pin.bits:
                raise ValueError(f"pin {name!r} has {pin.bits} bits, so {int(extreme)!r} cannot be driven")
        lengths = np.ascontiguousarray(cycles, np.uint64)
        self._board.model.play_pin(index, start, _packed(values, pin.bytes), lengths)
        return start + int(lengths.sum())

    def is_playing(self, name: str) -> bool:
        """Whether some run has not begun yet."""
        return self._board.model.pin_is_playing(self._index(name, output=False))

    def record(self, name: str, on: bool = True) -> None:
        """Keep every change of a pin from now on, forgetting what was recorded before."""
        self._board.model.record_pin(self._index(name), on)

    def changes(self, name: str) -> list[tuple[int, int]]:
        """(cycle, value) of the first cycle recorded, and of each with another value than the one before."""
        cycles, values = self._board.model.pin_changes(self._index(name))
        numbers = (int.from_bytes(row.tobytes(), "little") for row in values)
        return list(zip(cycles.tolist(), numbers, strict=True))

    def _index(self, name: str, *, output: bool | None = None) -> int:
        if name not in self.names:
            raise ValueError(f"the overlay has no pin {name!r}; it has {self.names!r}")
        index = self.names.index(name)
        if output is False and self._board.model.ports.pins[index].output:
            raise ValueError(f"pin {name!r} is an output, the overlay drives it")
        return index


def _packed(values: np.ndarray, size: int) -> np.ndarray:
    """Values as little-endian members of `size` bytes each, one after the other."""
    if size in (1, 2, 4, 8):
        return np.ascontiguousarray(values.astype(f"<u{size}")).view(np.uint8)
    return np.frombuffer(b"".join(int(value).to_bytes(size, "little") for value in values), np.uint8)
