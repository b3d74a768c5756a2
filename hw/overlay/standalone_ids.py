"""Intrusion detection without a processor: CAN in, verdicts on LEDs, alerts on a serial line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.uart import UartTransmitter
from hw.can.bit_timing import BitTiming
from hw.can.receiver import Receiver
from hw.dataflow.folding import fold
from hw.dataflow.judge import EventKind, Judge
from hw.stream.fifo import Fifo
from models.program import load

__all__ = ["ALERT_CHARACTERS", "LEDS", "StandaloneIds", "alert_line"]

LEDS = 8
#: The LED that says that a frame on the bus broke a rule, and the one that says that an alert was lost.
ERROR_LED, LOST_LED = 7, 6
ALERTS_WAITING = 16
#: A verdict must be there while the 15 bits of the CRC are on the bus, less what pins and strobes cost.
CRC_BITS = 14
_TIMESTAMP_BITS = 8  # alerts carry no time
_SCORE_DIGITS = 4
#: In the template of an alert, what is replaced; the rest of the line stands in every alert.
DIGITS = b"01"


def alert_line(*, class_index: int, identifier: int, dlc: int, payload: bytes, score: int) -> bytes:
    """The text of one alert: class, identifier, length, payload and score, the numbers in hexadecimal.

    `!1 316 8 0012ab0000000000 0017`: bytes beyond the length read zero; the score counts modulo 2**16.
    """
    body = payload.ljust(8, b"\0").hex()
    return f"!{class_index:x} {identifier:03x} {dlc:x} {body} {score & 0xFFFF:04x}\r\n".encode()


ALERT_CHARACTERS = len(alert_line(class_index=1, identifier=0, dlc=0, payload=b"", score=0))

_ALERT = data.StructLayout(
    {
        "class_index": 4,
        "identifier": 12,
        "dlc": 4,
        "data": data.ArrayLayout(8, 8),
        "score": 4 * _SCORE_DIGITS,
    }
)


def _digits(alert) -> Value:
    """All that `alert_line` says of an alert, the first digit in the highest bits."""
    in_order = [alert.class_index, alert.identifier, alert.dlc]
    in_order += [alert.data[byte] for byte in range(8)] + [alert.score]
    return Cat(reversed(in_order))


class StandaloneIds(wiring.Component):
    """Judges each frame on `can_rx` while its CRC still arrives; reports on LEDs and `uart_tx`.

    `can_tx` stays recessive. LED n lights for `light_cycles` after a verdict of class n, LED 6 after an alert
    that found no room in the queue to the serial line, LED 7 after an error on the bus. An alert is a verdict
    of a class but the first with a score of at least `threshold`; it leaves as `alert_line` says.

    The verdict on a frame is there `Judge.verdict_cycles` after its last data bit, and acted on when the CRC
    proved right. The bus never waits; an alert waits for the serial line, up to `ALERTS_WAITING` of them.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        threshold: int,
        clock_hz: int,
        bit_rate: int,
        baud_rate: int = 1_000_000,
        light_cycles: int = 1 << 23,
    ):
        window = judge.shape.window
        if window is None or window.value_bits != 1:
            raise ValueError("the CAN receiver gives single bits: the judge needs a window of 1-bit values")
        if judge.shape.classes > LOST_LED:
            raise ValueError(f"{LOST_LED} LEDs cannot show {judge.shape.classes} classes")
        self.judge = judge
        self._threshold = threshold
        self._timing = BitTiming.for_rate(clock_hz, bit_rate)
        self._bit_cycles = round(clock_hz / baud_rate)
        self._light_cycles = light_cycles
        spare = CRC_BITS * self._timing.cycles_per_bit - judge.verdict_cycles
        if spare < 0:
            raise ValueError(
                f"a verdict takes {judge.verdict_cycles} cycles, {-spare} more than pass at {bit_rate} bit/s "
                f"until the frame can be accepted; fold the judge for fewer, or raise the clock"
            )
        super().__init__(
            {"can_rx": In(1), "can_tx": Out(1, init=1), "uart_tx": Out(1, init=1), "leds": Out(LEDS)}
        )

    @classmethod
    def from_model(
        cls, path: Path, *, clock_hz: int = 100_000_000, bit_rate: int = 1_000_000, **options
    ) -> StandaloneIds:
        """With the weights of a QONNX file of the zoo built in; the .json beside it says how frames enter."""
        description = path.with_suffix(".json")
        for file in (path, description):
            if not file.is_file():
                raise FileNotFoundError(
                    f"{file} is missing: the weights of the stand-alone system come from a trained model; "
                    "give the path of a QONNX file with its .json, such as models/zoo/can_ids_ours.onnx"
                )
        content = json.loads(description.read_text())
        encoding = content["encoding"]
        if encoding["kind"] != "bits":
            raise ValueError(
                f"{path.name} takes frames as {encoding['kind']!r}; the stand-alone system takes 'bits' only"
            )
        program = load(path)
        cycles_per_bit = BitTiming.for_rate(clock_hz, bit_rate).cycles_per_bit
        shape = fold(
            program,
            judge_cycles=CRC_BITS * cycles_per_bit - 1,
            slots=encoding["window"],
            value_bits=1,
            value_cycles=cycles_per_bit - 1,
        )
        model_hash = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:8], "big")
        judge = Judge(shape=shape, program=program, model_hash=model_hash)
        threshold = int(content["calibration"]["threshold"])
        return cls(judge=judge, threshold=threshold, clock_hz=clock_hz, bit_rate=bit_rate, **options)

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver(timestamp_bits=_TIMESTAMP_BITS)
        m.submodules.judge = judge = self.judge
        m.submodules.alerts = alerts = Fifo(shape=_ALERT, depth=ALERTS_WAITING)
        m.submodules.line = line = UartTransmitter(bit_cycles=self._bit_cycles)
        m.d.comb += [
            receiver.rx.eq(self.can_rx),
            Value.cast(receiver.timing).eq(self._timing.word),
            self.uart_tx.eq(line.tx),
        ]
        self._feed(m, receiver.in_frame, judge)
        lost, verdict = self._decide(m, receiver, judge, alerts)
        self._spell(m, alerts.o, line.bytes)
        counts = receiver.counts
        error = counts.stuff_error | counts.crc_error | counts.form_error
        events = [verdict[index] for index in range(len(verdict))]
        events += [Const(0)] * (LOST_LED - len(events)) + [lost, error]
        self._light(m, events)
        return m

    def _feed(self, m: Module, in_frame, judge: Judge) -> None:
        """Strobes of the receiver to events; a last bit and its JUDGE come in one cycle and leave in two."""
        events = judge.events
        bit, judging, end = Signal(), Signal(), Signal()  # what waits to leave, in this order
        committed = Signal()
        kept_bit, kept_index = Signal(), Signal.like(events.payload.index)
        m.d.comb += [
            events.valid.eq(bit | judging | end),
            events.payload.index.eq(kept_index),
            events.payload.value.eq(kept_bit),
        ]
        with m.If(bit):
            m.d.comb += events.payload.kind.eq(EventKind.VALUE)
        with m.Elif(judging):
            m.d.comb += events.payload.kind.eq(EventKind.JUDGE)
        with m.Else():
            m.d.comb += events.payload.kind.eq(Mux(committed, EventKind.COMMIT, EventKind.ABORT))
        with m.If(events.ready):
            m.d.sync += bit.eq(0)
            with m.If(~bit):
                m.d.sync += judging.eq(0)
                with m.If(~judging):
                    m.d.sync += end.eq(0)
        with m.If(in_frame.bit_valid):
            m.d.sync += [bit.eq(1), kept_bit.eq(in_frame.bit), kept_index.eq(in_frame.index)]
        with m.If(in_frame.last_data):
            m.d.sync += judging.eq(1)
        with m.If(in_frame.commit | in_frame.abort):
            m.d.sync += [end.eq(1), committed.eq(in_frame.commit)]

    def _decide(self, m: Module, receiver: Receiver, judge: Judge, alerts: Fifo) -> tuple[Signal, Signal]:
        """Bring verdict and frame together. Returns strobes: an alert was lost; a verdict of each class."""
        in_frame, frame = receiver.in_frame, receiver.frame
        classes = judge.shape.classes
        asked, have, unwanted = Signal(), Signal(), Signal()
        judged_now = Signal()  # the frame on the bus has been put to the judge
        decision, valid = Signal(judge.verdicts.payload.decision.shape()), Signal()
        m.d.comb += judge.verdicts.ready.eq(~have)
        with m.If(in_frame.start):
            m.d.sync += judged_now.eq(0)
        with m.If(in_frame.last_data):
            m.d.sync += [judged_now.eq(1), asked.eq(1)]
        with m.If(judge.verdicts.valid & judge.verdicts.ready):
            m.d.sync += [
                asked.eq(0),
                unwanted.eq(0),
                have.eq(~unwanted),
                decision.eq(judge.verdicts.payload.decision),
                valid.eq(judge.verdicts.payload.judged),
            ]
        with m.If(in_frame.abort & judged_now):
            m.d.sync += [have.eq(0), unwanted.eq(asked & ~(judge.verdicts.valid & judge.verdicts.ready))]

        unjudged = frame.payload.extended | frame.payload.remote
        settled, alarming, lost, verdict = Signal(), Signal(), Signal(), Signal(classes)
        m.d.comb += [
            settled.eq(frame.valid & have & ~unjudged),
            frame.ready.eq(unjudged | have),
            alarming.eq((decision.class_index != 0) & (decision.score >= self._threshold)),
            alerts.i.valid.eq(settled & valid & alarming),
            alerts.i.payload.class_index.eq(decision.class_index),
            alerts.i.payload.identifier.eq(frame.payload.identifier),
            alerts.i.payload.dlc.eq(frame.payload.dlc),
            alerts.i.payload.data.eq(frame.payload.data),
            alerts.i.payload.score.eq(decision.score),
            lost.eq(alerts.i.valid & ~alerts.i.ready),
            verdict.eq(Mux(settled & valid, 1 << decision.class_index, 0)),
        ]
        with m.If(settled):
            m.d.sync += have.eq(0)
        return lost, verdict

    def _spell(self, m: Module, alert, characters) -> None:
        """Take an alert from the queue and send it as text, a digit from the top of a register each time."""
        template = alert_line(class_index=1, identifier=0, dlc=0, payload=b"", score=0)
        digits = Signal(len(_digits(alert.payload)))
        at, sending = Signal(range(len(template))), Signal()
        nibble, is_digit, letter = digits[-4:], Signal(), Signal(8)
        with m.Switch(at):
            for place, character in enumerate(template):
                with m.Case(place):
                    m.d.comb += [is_digit.eq(character in DIGITS), letter.eq(character)]
        hexadecimal = Mux(nibble < 10, ord("0") + nibble, ord("a") - 10 + nibble)
        m.d.comb += alert.ready.eq(~sending)
        with m.If(~sending):
            m.d.sync += [digits.eq(_digits(alert.payload)), at.eq(0), sending.eq(alert.valid)]
        # A register between the choice of a character and the line, which is slow, and paths from here short.
        with m.If(characters.ready):
            m.d.sync += characters.valid.eq(0)
        with m.If(sending & ~characters.valid):
            m.d.sync += [
                characters.valid.eq(1),
                characters.payload.eq(Mux(is_digit, hexadecimal, letter)),
                at.eq(at + 1),
                sending.eq(at != len(template) - 1),
            ]
            with m.If(is_digit):
                m.d.sync += digits.eq(digits << 4)

    def _light(self, m: Module, events: list) -> None:
        """Each event lights its LED for a while that a person can see, by one slow common tick."""
        ticks = 3
        beat = max(1, self._light_cycles >> ticks)
        timer, tick = Signal(range(beat)), Signal()
        m.d.comb += tick.eq(timer == 0)
        m.d.sync += timer.eq(Mux(tick, beat - 1, timer - 1))
        for index, event in enumerate(events):
            left = Signal(ticks + 1, name=f"light{index}")
            with m.If(event):
                m.d.sync += left.eq(1 << ticks)
            with m.Elif(tick & (left != 0)):
                m.d.sync += left.eq(left - 1)
            m.d.comb += self.leds[index].eq(left != 0)
