"""The first layer of a network over a window of frames, summed while the newest frame still arrives."""

from collections.abc import Mapping, Sequence
from enum import IntEnum

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.dataflow.bank_memory import BankMemory, LoadSignature
from models.program.pipeline_shape import Bank, WindowShape

__all__ = ["EventKind", "WindowLayer", "event_layout", "lanes_layout"]


class EventKind(enum.Enum, shape=3):  # type: ignore[call-arg]  # amaranth's metaclass takes it
    """What happens to the frame in flight.

    VALUE: one of its features is known; those that never come are zero. JUDGE: sum up the window that ends
    with it. COMMIT: it is now the newest frame of the windows to come. ABORT: it never was. DISCARD: there
    was no frame at all, as after reset.
    """

    VALUE = 0
    JUDGE = 1
    COMMIT = 2
    ABORT = 3
    DISCARD = 4


def event_layout(shape: WindowShape) -> data.StructLayout:
    """`index` and `value` mean something for a VALUE alone. Each index comes at most once a frame."""
    return data.StructLayout(
        {"kind": EventKind, "index": range(max(2, shape.features)), "value": shape.value_bits}
    )


def lanes_layout(bits: int | Value, lanes: int, *, is_signed: bool = False) -> data.ArrayLayout:
    """What stages hand on: several numbers a beat, the first in the lowest bits."""
    return data.ArrayLayout(signed(bits) if is_signed else bits, lanes)


class _State(IntEnum):
    """What the sweep over the sums is for."""

    IDLE = 0
    VALUE = 1
    COMMIT = 2
    JUDGE = 3


class WindowLayer(wiring.Component):
    """Sums of weights and values over the last `slots` frames, `emit_lanes` a beat, for every JUDGE.

    Two memories: the frame in flight's contributions to the windows that end with it and with each of the
    next `slots - 1` frames, and, for those windows, the contributions of the frames before. A COMMIT adds
    the first to the second; an ABORT forgets the first; a JUDGE reads one sum of each. Frames from before
    the first COMMIT count as all zeros.

    Takes an event at a time. A VALUE takes `value_cycles` until the next event, a VALUE of zero, an ABORT
    and a DISCARD one cycle, a COMMIT `commit_cycles`. The first beat of a JUDGE is valid
    `JUDGE_LATENCY_CYCLES` after it was taken, then one beat a cycle; the next event is taken the
    cycle after the last beat. `discard` forgets everything as the event does, at any time.
    """

    JUDGE_LATENCY_CYCLES = 2

    def __init__(
        self,
        *,
        shape: WindowShape,
        banks: Sequence[Bank] | None = None,
        rows: Mapping[str, Sequence[int]] | None = None,
    ):
        self._shape = shape
        self._banks = shape.banks if banks is None else banks
        self._rows = rows or {}
        super().__init__(
            {
                "events": In(stream.Signature(event_layout(shape))),
                "o": Out(stream.Signature(lanes_layout(shape.sum_bits, shape.emit_lanes, is_signed=True))),
                "discard": In(1),
                "load": In(LoadSignature(self._banks)),
            }
        )

    @staticmethod
    def _overlaps(shape: WindowShape) -> bool:
        """Whether an event may begin its sweep right behind that of a VALUE: it reads no word too early.

        A VALUE writes a word two cycles after it read it, and a COMMIT begins with the second slot's.
        """
        return shape.words - (shape.groups if shape.slots > 1 else 0) > 2

    @classmethod
    def value_cycles(cls, shape: WindowShape) -> int:
        return shape.words + (not cls._overlaps(shape))

    @staticmethod
    def commit_cycles(shape: WindowShape) -> int:
        return shape.words - shape.groups + 2 if shape.slots > 1 else 1

    @classmethod
    def judge_cycles(cls, shape: WindowShape) -> int:
        """From one JUDGE to the next event, if the stream of sums never waits."""
        return cls.JUDGE_LATENCY_CYCLES + shape.units // shape.emit_lanes

    def elaborate(self, platform) -> Module:
        m = Module()
        shape, event = self._shape, self.events.payload
        m.submodules.weights = weights = BankMemory(
            banks=self._banks, name=shape.banks[0].name, rows=self._rows.get(shape.banks[0].name)
        )
        wiring.connect(m, weights.load, wiring.flipped(self.load))
        frame = Memory(shape=shape.lanes * shape.frame_sum_bits, depth=shape.words, init=[])
        m.submodules.frame = frame
        frame_read, frame_write = frame.read_port(), frame.write_port()

        state = Signal(_State)
        fresh = Signal(init=1)  # the frame memory counts as zeros
        empty = Signal(init=1)  # the memory of past frames counts as zeros
        count = Signal(range(shape.words))  # the word that is read
        base = Signal(range(shape.features * shape.words))
        value = Signal(shape.value_bits)
        reading = Signal()
        was_fresh, was_empty = Signal(), Signal()  # when this sweep began
        last_word = Signal()
        m.d.comb += [
            frame_read.addr.eq(count),
            frame_read.en.eq(reading),
            weights.address.eq(base + count),
            weights.enable.eq(reading & (state == _State.VALUE)),
        ]

        # The word that has been read: everything about it lags one cycle behind.
        read = Signal(_State)
        read_count = Signal.like(count)
        read_value = Signal.like(value)
        read_fresh = Signal()
        m.d.sync += read.eq(_State.IDLE)
        with m.If(reading):
            m.d.sync += [
                read.eq(state),
                read_count.eq(count),
                read_value.eq(value),
                read_fresh.eq(was_fresh),
                count.eq(count + 1),
            ]

        sums = [
            Mux(read_fresh, 0, frame_read.data.word_select(lane, shape.frame_sum_bits).as_signed())
            for lane in range(shape.lanes)
        ]
        self._write_back(m, frame_write, sums, weights.data, read, read_count, read_value)
        past = self._past(m, count, reading, read, read_count, sums, was_empty)

        # A JUDGE reads a word, hands its lanes on, and reads the next with the last of them.
        beats = shape.lanes // shape.emit_lanes
        beat = Signal(range(max(2, beats)))
        last_beat = Const(1) if beats == 1 else beat == beats - 1
        moved = self.o.valid & self.o.ready
        judged = Signal()  # every word of this JUDGE has been read

        def emitted(lanes: list[Value], bits: int) -> list[Value]:
            chosen = Cat(lane[:bits] for lane in lanes).word_select(beat, bits * shape.emit_lanes)
            return [chosen.word_select(lane, bits).as_signed() for lane in range(shape.emit_lanes)]

        frame_part = emitted(sums, shape.frame_sum_bits)
        past_part = emitted(past, shape.past_sum_bits) if past else [Const(0)] * shape.emit_lanes
        for lane in range(shape.emit_lanes):
            m.d.comb += self.o.payload[lane].eq(frame_part[lane] + past_part[lane])
        with m.If(moved):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
        m.d.sync += self.o.valid.eq(
            (reading & (state == _State.JUDGE)) | (self.o.valid & ~(moved & last_beat))
        )

        m.d.comb += [
            last_word.eq(count == Mux(state == _State.JUDGE, shape.groups - 1, shape.words - 1)),
            reading.eq(
                state.matches(_State.VALUE, _State.COMMIT)
                | ((state == _State.JUDGE) & ~judged & (~self.o.valid | (moved & last_beat)))
            ),
            # The sweep of a VALUE overlaps with the next event where that reads no word yet to be written.
            self.events.ready.eq(
                ((state == _State.IDLE) & (read != _State.COMMIT))
                | ((state == _State.VALUE) & last_word if self._overlaps(shape) else 0)
            ),
        ]
        with m.If(reading & last_word):
            m.d.sync += [count.eq(0), judged.eq(1)]
            with m.If(state != _State.JUDGE):
                m.d.sync += state.eq(_State.IDLE)
        with m.If((state == _State.JUDGE) & judged & moved & last_beat):
            m.d.sync += state.eq(_State.IDLE)
        with m.If(self.events.valid & self.events.ready):
            m.d.sync += [
                value.eq(event.value),
                base.eq(_times(event.index, shape.words)),
                was_fresh.eq(fresh),
                was_empty.eq(empty),
                judged.eq(0),
            ]
            with m.Switch(event.kind):
                with m.Case(EventKind.VALUE), m.If(event.value != 0):
                    m.d.sync += [state.eq(_State.VALUE), fresh.eq(0)]
                with m.Case(EventKind.JUDGE):
                    m.d.sync += state.eq(_State.JUDGE)
                with m.Case(EventKind.COMMIT):
                    m.d.sync += [fresh.eq(1), empty.eq(0)]
                    if shape.slots > 1:
                        m.d.sync += [state.eq(_State.COMMIT), count.eq(shape.groups)]
                with m.Case(EventKind.ABORT):
                    m.d.sync += fresh.eq(1)
                with m.Case(EventKind.DISCARD):
                    m.d.sync += [fresh.eq(1), empty.eq(1)]
        with m.If(self.discard):
            m.d.sync += [fresh.eq(1), empty.eq(1)]
        return m

    def _write_back(self, m, port, sums, weights: Value, read, read_count, read_value) -> None:
        """Add the products of a VALUE to what was read, a cycle after that: block RAM gives weights late."""
        shape = self._shape
        kept_sums = Signal(data.ArrayLayout(signed(shape.frame_sum_bits), shape.lanes))
        kept_weights, kept_value = Signal.like(weights), Signal.like(read_value)
        kept_count, writing = Signal.like(read_count), Signal()
        m.d.sync += [
            writing.eq(read == _State.VALUE),
            kept_weights.eq(weights),
            kept_value.eq(read_value),
            kept_count.eq(read_count),
            *(kept_sums[lane].eq(part) for lane, part in enumerate(sums)),
        ]
        products = [
            self._product(kept_weights.word_select(lane, shape.weight_bits), kept_value)
            for lane in range(shape.lanes)
        ]
        written = [
            _add(kept_sums[lane], *product)[: shape.frame_sum_bits] for lane, product in enumerate(products)
        ]
        m.d.comb += [port.addr.eq(kept_count), port.en.eq(writing), port.data.eq(Cat(written))]

    def _product(self, weight: Value, value: Signal) -> tuple[Value, Value | None]:
        """The weight times the value, as a number and a carry to be added to it."""
        if self._shape.value_bits == 1:
            return weight.as_signed(), None  # a value of zero starts no sweep
        size = Cat(value & weight[0].replicate(len(value)), Const(0, 1))
        return (size ^ weight[1].replicate(len(size))).as_signed(), weight[1]

    def _past(self, m, count, reading, read, read_count, sums, was_empty) -> list[Value]:
        """The memory of past frames; returns what was read with the word of the frame memory."""
        shape = self._shape
        if shape.slots == 1:
            return []
        depth = shape.words - shape.groups  # no past frame counts in the window of the last slot
        m.submodules.past = memory = Memory(shape=shape.lanes * shape.past_sum_bits, depth=depth, init=[])
        port, write = memory.read_port(), memory.write_port()
        zero = Signal()
        with m.If(reading):
            m.d.sync += zero.eq(was_empty | (count >= depth))
        past = [
            Mux(zero, 0, port.data.word_select(lane, shape.past_sum_bits).as_signed())
            for lane in range(shape.lanes)
        ]
        m.d.comb += [
            port.addr.eq(count),
            port.en.eq(reading & (count < depth)),
            # A word of the frame's slot k+1 goes to slot k: the windows come one frame nearer.
            write.addr.eq(read_count - shape.groups),
            write.en.eq(read == _State.COMMIT),
            write.data.eq(Cat((a + b)[: shape.past_sum_bits] for a, b in zip(past, sums, strict=True))),
        ]
        return past


def _add(part: Value, product: Value, carry: Value | None) -> Value:
    if carry is None:
        return part + product
    # One carry chain: the bit below the sum makes the carry.
    return (Cat(Const(1, 1), part).as_signed() + Cat(carry, product).as_signed())[1:]


def _times(index: Value, factor: int) -> Value:
    """A product with a constant as shifts, so that synthesis takes no DSP for it."""
    terms = [index << shift for shift in range(factor.bit_length()) if factor >> shift & 1]
    return sum(terms[1:], terms[0])
