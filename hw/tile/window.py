"""The loops of windowed layers: words are read into the next window while the last one is multiplied."""

from amaranth.hdl import Module, Signal

__all__ = ["WindowLoops"]


class WindowLoops:
    """Which word a window reads next, and whether the window before is being multiplied.

    Time passes in periods. In each, one window is read, a word a step, column by column: of the first window
    of a row all words, of the others those of the columns that are new. And in each but the first, the window
    before is multiplied, by the beats of `sums`. A period ends when both are done; in one more at the end,
    nothing is read.
    """

    def __init__(self, m: Module, op, sums):
        self._m, self._op = m, op
        self.addr = Signal(16, name="next_word")
        self._at_column, self._at_row = Signal(16, name="window_column"), Signal(16, name="window_row")
        self._y, self._columns = Signal(6, name="window_y"), Signal(8, name="window_columns")
        self._column, self._row = Signal(10, name="window_number"), Signal(10, name="window_rows")
        self._read, self._summed = Signal(name="window_is_read"), Signal(name="window_is_summed")
        self._full, self._over = Signal(name="window_before"), Signal(name="windows_over")
        self.reads, self.multiplies, self.ends = Signal(), Signal(), Signal()
        self._y_ends = self._y == op.last_tap_y
        self._reads_last, self._sums_last = Signal(), Signal()
        m.d.comb += [
            self.reads.eq(~self._read),
            self.multiplies.eq(self._full & ~self._summed),
            self._reads_last.eq(self.reads & self._y_ends & (self._columns == 0)),
            self._sums_last.eq(self.multiplies & sums.sum_last),
            self.ends.eq((self._read | self._reads_last) & (self._sums_last | self._summed | ~self._full)),
        ]

    def start(self, head) -> None:
        m = self._m
        m.d.sync += [
            each.eq(0)
            for each in (
                self._y, self._column, self._row, self._read, self._summed, self._full, self._over,
            )
        ]  # fmt: skip
        m.d.sync += [each.eq(head.base) for each in (self.addr, self._at_column, self._at_row)]
        m.d.sync += self._columns.eq(head.last_tap_x)

    def step(self) -> None:
        m, op = self._m, self._op
        last = (self._column == op.last_column) & (self._row == op.last_row)
        with m.If(self.reads):
            self._advance()
            with m.If(self._reads_last & last):
                m.d.sync += self._over.eq(1)
        m.d.sync += [
            self._read.eq(self._read | self._reads_last),
            self._summed.eq(self._summed | self._sums_last),
        ]
        with m.If(self.ends):
            m.d.sync += [
                self._read.eq(self._over | (self._reads_last & last)),
                self._summed.eq(0),
                self._full.eq(1),
            ]

    def _advance(self) -> None:
        """To the next word: down, to the right, and then to the next row."""
        m, op = self._m, self._op
        m.d.sync += [self._y.eq(self._y + 1), self.addr.eq(self.addr + op.tap_row_step)]
        with m.If(self._y_ends):
            m.d.sync += [self._y.eq(0), self._columns.eq(self._columns - 1)]
            m.d.sync += [each.eq(self._at_column + 1) for each in (self.addr, self._at_column)]
        with m.If(self._reads_last):
            m.d.sync += [self._columns.eq(op.column_step - 1), self._column.eq(self._column + 1)]
            with m.If(self._column == op.last_column):
                below = self._at_row + op.row_step
                m.d.sync += [each.eq(below) for each in (self.addr, self._at_column, self._at_row)]
                m.d.sync += [
                    self._columns.eq(op.last_tap_x),
                    self._column.eq(0),
                    self._row.eq(self._row + 1),
                ]
