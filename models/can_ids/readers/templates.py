"""Lines to columns, hundreds of thousands a second: one line is understood exactly, its likes by numpy.

Lines of one length are gathered into a matrix of characters. The first is parsed by the format's grammar,
which also says which characters spell time, identifier and data. Every other row that agrees with it
elsewhere, and has digits where it has digits, is read column-wise. The rest takes its turn as a template, and
the few lines that remain are parsed one by one. Both ways give the same frames: the fast one does only what
it can do exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.can_ids.frames import Frames
from models.can_ids.readers.capture import Tally
from models.can_ids.readers.grammar import EXTENDED_MAX, STANDARD_MAX, Grammar, Line
from models.can_ids.readers.source import PIECE_BYTES

__all__ = ["LINE_BYTES", "frames_of"]

#: No format has longer lines (CAN FD in candump's widest view takes 350); what is longer is dropped unread.
LINE_BYTES = 4096
TOO_LONG = f"line longer than {LINE_BYTES} bytes"
#: Fewer lines than this are parsed one by one, and so many templates are tried for one length of line.
FEW_LINES, MOST_TEMPLATES = 12, 32
#: Up to here a float64 holds every integer, so that one division rounds as `float(text)` does.
EXACT = 2**53

_NEWLINE, _RETURN = 10, 13
_NOT_HEX = 255
_HEX = np.full(256, _NOT_HEX, np.uint8)
_HEX[np.frombuffer(b"0123456789ABCDEF", np.uint8)] = np.arange(16)
_HEX[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)
_FREE = np.ones(256, bool)  # characters allowed where text means nothing
_FREE[np.frombuffer(b',"', np.uint8)] = False


class Block:
    """Whole lines: their bytes, and where each starts and how long it is."""

    def __init__(self, text: bytes, first_line: int) -> None:
        self.text = text
        self.first_line = first_line
        self.characters = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(self.characters == _NEWLINE)
        self.starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
        returns = (ends > self.starts) & (self.characters[ends - 1] == _RETURN)
        self.lengths = ends - returns - self.starts

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, row: int) -> bytes:
        start = int(self.starts[row])
        return self.text[start : start + int(self.lengths[row])]

    def matrix(self, rows: np.ndarray, length: int) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(self.characters, length)
        return windows[self.starts[rows]]


def blocks(pieces: Iterator[bytes], tally: Tally) -> Iterator[Block]:
    """Cut the pieces at line ends. What is left of an endless line is thrown away as it comes."""
    pending = b""
    line = 1
    skipping = False  # inside a line that is too long
    for piece in pieces:
        if skipping:
            _, newline, piece = piece.partition(b"\n")
            skipping = not newline
            line += not skipping
        text = pending + piece
        end = text.rfind(b"\n") + 1
        pending = text[end:]
        if end:
            block = Block(text[:end], line)
            yield block
            line += len(block)
        if len(pending) > LINE_BYTES:
            tally.drop(TOO_LONG, line)
            pending, skipping = b"", True
    if pending:
        yield Block(pending + b"\n", line)


def frames_of(pieces: Iterator[bytes], grammar: Grammar, tally: Tally) -> Iterator[Frames]:
    """The frames in a text, block by block."""
    for block in blocks(_bounded(pieces), tally):
        yield _Reading(block, grammar, tally).frames()


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for at in range(0, len(piece), PIECE_BYTES):
            yield piece[at : at + PIECE_BYTES]


class _Reading:
    """One block on its way to frames."""

    def __init__(self, block: Block, grammar: Grammar, tally: Tally) -> None:
        self.block, self.grammar, self.tally = block, grammar, tally
        self.columns = Frames.zeros(len(block))
        self.kept = np.zeros(len(block), bool)

    def frames(self) -> Frames:
        block = self.block
        written = np.flatnonzero(block.lengths)
        order = written[np.argsort(block.lengths[written], kind="stable")]
        lengths, starts = np.unique(block.lengths[order], return_index=True)
        for length, rows in zip(lengths.tolist(), np.split(order, starts)[1:], strict=True):
            if length > LINE_BYTES:
                self.tally.drop(TOO_LONG, block.first_line + int(rows[0]), len(rows))
            else:
                self._read_length(rows, length)
        return self.columns if self.kept.all() else self.columns[self.kept]

    def _read_length(self, rows: np.ndarray, length: int) -> None:
        """All lines of one length: by templates while that pays, then one by one."""
        for _ in range(MOST_TEMPLATES):
            if len(rows) < FEW_LINES:
                break
            template = self._read_line(int(rows[0]))
            if template is not None and template.time.span is not None:
                left = ~self._read_alike(rows, length, template)
                left[0] = False
                rows = rows[left]
            else:
                rows = rows[1:]
        for row in rows.tolist():
            self._read_line(row)

    def _read_line(self, row: int) -> Line | None:
        parsed = self.grammar.parse(self.block.line(row))
        if isinstance(parsed, str):
            if parsed:
                self.tally.drop(parsed, self.block.first_line + row)
            return None
        columns = self.columns
        columns.timestamp[row] = parsed.time.seconds
        columns.identifier[row] = parsed.identifier.value
        columns.extended[row] = parsed.identifier.extended
        columns.remote[row] = parsed.remote
        columns.dlc[row] = parsed.dlc
        columns.data[row, : len(parsed.data)] = list(parsed.data)
        columns.attack[row] = parsed.attack
        self.kept[row] = True
        return parsed

    def _read_alike(self, rows: np.ndarray, length: int, template: Line) -> np.ndarray:
        """Read the rows that are like the first one, which is the template's, and say which those are."""
        layout = _Layout(self.block.matrix(rows, length), template)
        timestamp, identifier, extended, data = layout.read()
        alike, columns = layout.alike, self.columns
        rows = rows[alike]
        columns.timestamp[rows] = timestamp[alike]
        columns.identifier[rows] = identifier[alike]
        columns.extended[rows] = extended[alike]
        columns.remote[rows] = template.remote
        columns.dlc[rows] = template.dlc
        columns.data[rows, : data.shape[1]] = data[alike]
        columns.attack[rows] = template.attack
        self.kept[rows] = True
        return alike


class _Layout:
    """A template laid over the character matrix of lines as long as it. `alike` says which rows it fits."""

    def __init__(self, matrix: np.ndarray, template: Line) -> None:
        self.matrix, self.template = matrix, template
        model = matrix[0]
        hexadecimal = _HEX[model] != _NOT_HEX
        assert template.time.span is not None
        self.time = _positions(template.time.span, (model >= ord("0")) & (model <= ord("9")))
        self.identifier = _positions(template.identifier_span, hexadecimal)
        self.data = _positions(template.data_span, hexadecimal)
        free = np.concatenate([np.arange(*span) for span in template.free_spans] or [np.arange(0)])
        fixed = np.setdiff1d(
            np.arange(len(model)), np.concatenate([self.time, self.identifier, self.data, free])
        )
        self.alike = (matrix[:, fixed] == model[fixed]).all(axis=1)
        if len(free):
            self.alike &= _FREE[matrix[:, free]].all(axis=1)

    def read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Time stamp, identifier, whether extended, data; `alike` loses rows that are not what they seem."""
        return self._timestamp(), *self._identifier(), self._data()

    def _timestamp(self) -> np.ndarray:
        time = self.template.time
        if len(self.time) == 0:
            return np.full(len(self.matrix), np.nan)
        scale = 10**time.fraction_digits
        number = self._decimal(self.time) + time.base * scale
        self.alike &= number < EXACT
        return number / scale

    def _identifier(self) -> tuple[np.ndarray, np.ndarray]:
        template = self.template.identifier
        if template.decimal:
            identifier = self._decimal(self.identifier)
        else:
            identifier = self._hexadecimal(self.identifier) @ (
                16 ** np.arange(len(self.identifier) - 1, -1, -1)
            )
        self.alike &= identifier <= EXTENDED_MAX
        return identifier, (identifier > STANDARD_MAX) | (not template.by_value)

    def _data(self) -> np.ndarray:
        if len(self.data) != 2 * len(self.template.data):  # a zero left out: this line stands for itself only
            self.alike[:] = False
            return np.zeros((len(self.matrix), 0), np.uint8)
        nibbles = self._hexadecimal(self.data)
        return nibbles[:, 0::2] << 4 | nibbles[:, 1::2]

    def _decimal(self, positions: np.ndarray) -> np.ndarray:
        digits = self.matrix[:, positions] - np.uint8(ord("0"))
        if len(positions) > 18:  # would not fit into 64 bits
            self.alike[:] = False
            return np.zeros(len(digits), np.int64)
        self.alike &= (digits <= 9).all(axis=1)
        return digits @ (10 ** np.arange(len(positions) - 1, -1, -1))

    def _hexadecimal(self, positions: np.ndarray) -> np.ndarray:
        digits = _HEX[self.matrix[:, positions]]
        self.alike &= (digits != _NOT_HEX).all(axis=1)
        return digits


def _positions(span: tuple[int, int], wanted: np.ndarray) -> np.ndarray:
    """Those positions in the span that are wanted."""
    start, end = span
    return start + np.flatnonzero(wanted[start:end])
