"""The instruction word of the engine: one description for compiler, gateware, disassembler and docs.

An instruction is 32 bytes: the opcode in byte 0, the fields from bit 8 on without gaps, and in byte 31 the
exclusive or of the 31 bytes before it, so that any one damaged byte is found. Waits name counts since the
start of the program: an instruction waits until so many loads, computes or stored rows are complete.
Fields called `last_...` hold a count less one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor

from amaranth.lib import data

__all__ = ["BITS", "BYTES", "FIELDS", "Instruction", "Opcode", "decode", "disassemble", "layout", "markdown"]

BYTES = 32
BITS = 8 * BYTES


class Opcode(enum.IntEnum):
    """What an instruction asks for, and of which unit."""

    LOAD_FEATURES = 0xA1  #: loader: one row of adjacent planes into the feature banks
    LOAD_WEIGHTS = 0xA2  #: loader: weight words
    COMPUTE = 0xB1  #: sequencer: rows of one group of output channels
    LAYER = 0xB2  #: sequencer: add the counters to those of a layer
    STORE = 0xC1  #: storer: where the rows of a COMPUTE go
    END = 0xD1  #: the program is over when everything before is


#: (name, bits, meaning), from the low bits up.
FIELDS: dict[Opcode, tuple[tuple[str, int, str], ...]] = {
    Opcode.LOAD_FEATURES: (
        ("addr", 32, "bytes from the arena to the first word"),
        ("stride", 32, "bytes from a plane to the next"),
        ("wait_compute", 24, "computes that must be complete"),
        ("wait_store", 24, "stored rows that must be in memory"),
        ("last_plane", 10, "planes"),
        ("words", 12, "words to read from each plane"),
        ("columns", 12, "columns that they fill"),
        ("left", 12, "columns of fill before them"),
        ("right", 8, "columns of fill after them"),
        ("base", 16, "where column 0 of the first plane goes in the banks"),
        ("plane_step", 16, "from a plane to the next in the banks"),
        ("lane_step", 12, "columns from the window of a pixel lane to that of the next"),
        ("window", 12, "columns of a pixel lane's window"),
        ("fill", 8, "byte that stands for zero"),
        ("twice", 1, "every word fills two columns"),
        ("skip", 1, "the first word fills one column only"),
        ("fold", 2, "0: a word is a pixel; else several, of the bytes that the preset's `fold_bytes` names"),
        ("kept", 1, "addresses are those of the maps kept on chip, and `wait_store` counts their rows"),
        ("residual", 1, "one plane, for the storer to add instead of the banks"),
        ("share", 2, "the banks are cut into so many halves, halves of halves; addresses wrap in one"),
    ),
    Opcode.LOAD_WEIGHTS: (
        ("addr", 32, "bytes from the arena to the first word"),
        ("wait_compute", 24, "computes that must be complete"),
        ("beats", 24, "bus beats to read"),
        ("base", 16, "where the first word goes in the weight memory"),
    ),
    Opcode.COMPUTE: (
        ("wait_load", 24, "loads that must be complete"),
        ("base", 16, "first word in the feature banks"),
        ("weights", 16, "biases and shifts in the weight memory; the weights follow"),
        ("row_step", 16, "words from an output row to the next"),
        ("column_step", 8, "words from an output column to the next"),
        ("tap_row_step", 16, "words from a row of the kernel to the next"),
        ("block_step", 16, "words from a block of input channels to the next"),
        ("last_digit", 4, "digits of a weight, which are powers of four apart"),
        ("last_block", 10, "blocks of input channels; of a window, of taps; words of a folded row"),
        ("last_tap_x", 6, "kernel width"),
        ("last_tap_y", 6, "kernel height"),
        ("last_column", 10, "columns of each pixel lane"),
        ("last_row", 10, "rows"),
        ("low", 8, "least byte"),
        ("high", 8, "greatest byte"),
        ("raw", 1, "shift without rounding or clipping, low byte only"),
        ("greatest", 1, "the greatest of the inputs instead of the sum of products"),
        ("windowed", 1, "each output sees all taps of its own channel at once"),
        ("share", 2, "as in `LOAD_FEATURES`"),
    ),
    Opcode.LAYER: (
        ("index", 8, "number of the layer that the counters since the last `LAYER` belong to"),
        ("first", 1, "what the layer was counted before is of no concern"),
    ),
    Opcode.STORE: (
        ("addr", 32, "bytes from the arena to the first word of the first row"),
        ("stride", 32, "bytes from a row to the next"),
        ("last_row", 10, "rows"),
        ("words", 12, "words of each row"),
        ("kept", 1, "addresses are those of the maps kept on chip"),
        ("adds", 1, "a row that was loaded as `residual` is added to each"),
        ("offset", 10, "added too, in two's complement"),
        ("halves", 1, "the sum is halved, ties to even"),
        ("low", 8, "least byte of the sum"),
        ("high", 8, "greatest byte of the sum"),
    ),
    Opcode.END: (),
}


@dataclass(frozen=True)
class Instruction:
    """An opcode with values for all of its fields."""

    opcode: Opcode
    values: dict[str, int]

    def encode(self) -> bytes:
        word, offset = int(self.opcode), 8
        if set(self.values) != {name for name, _, _ in FIELDS[self.opcode]}:
            raise ValueError(f"{self.opcode.name} has the fields {_names(self.opcode)}, not {self.values!r}")
        for name, bits, _ in FIELDS[self.opcode]:
            value = self.values[name]
            if not 0 <= value < 1 << bits:
                raise ValueError(f"{self.opcode.name}: {name} has {bits} bits, {value!r} does not fit")
            word |= value << offset
            offset += bits
        body = word.to_bytes(BYTES - 1, "little")
        return body + bytes([reduce(xor, body)])

    def __str__(self) -> str:
        values = " ".join(f"{name}={value}" for name, value in self.values.items() if value)
        return f"{self.opcode.name:13} {values}".rstrip()


def _names(opcode: Opcode) -> str:
    return ", ".join(name for name, _, _ in FIELDS[opcode])


def layout(opcode: Opcode) -> data.StructLayout:
    """The fields as gateware sees them, from bit 8 of the word on."""
    return data.StructLayout({name: bits for name, bits, _ in FIELDS[opcode]})


def decode(word: bytes) -> Instruction:
    """The instruction in 32 bytes; refuses what the engine would refuse."""
    if len(word) != BYTES or reduce(xor, word) != 0:
        raise ValueError(f"{word.hex()} is no instruction: its check byte is wrong; compile the model again")
    if word[0] not in set(Opcode):
        raise ValueError(f"{word.hex()} is no instruction: there is no opcode {word[0]:#04x}")
    opcode, rest = Opcode(word[0]), int.from_bytes(word[1:-1], "little")
    values = {}
    for name, bits, _ in FIELDS[opcode]:
        values[name] = rest & (1 << bits) - 1
        rest >>= bits
    return Instruction(opcode, values)


def disassemble(code: bytes) -> Iterator[Instruction]:
    for start in range(0, len(code), BYTES):
        yield decode(code[start : start + BYTES])


def markdown() -> str:
    """The table of the docs."""
    lines = ["| instruction | field | bits | meaning |", "|---|---|---|---|"]
    for opcode, fields in FIELDS.items():
        lines.append(f"| `{opcode.name}` | opcode | 0-7 | {int(opcode):#04x} |")
        offset = 8
        for name, bits, meaning in fields:
            lines.append(f"| | `{name}` | {offset}-{offset + bits - 1} | {meaning} |")
            offset += bits
    return "\n".join(lines)
