"""The system without a processor, from the CAN pin to the serial line, against the numpy executor."""

import json
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.overlay.standalone_ids import ALERT_CHARACTERS, StandaloneIds, alert_line
from models.program import load, run
from sim.can_bus import BusFrame, Waveform, error_frame, frame_bits, idle, random_frame
from sim.pin_bench import PinBench

MODEL = Path(__file__).parents[3] / "models" / "zoo" / "can_ids_ours.onnx"
CLOCK_HZ, BIT_RATE, BAUD = 10_000_000, 500_000, 2_500_000
CYCLES_PER_BIT, CYCLES_PER_BAUD = CLOCK_HZ // BIT_RATE, CLOCK_HZ // BAUD
THRESHOLD = json.loads(MODEL.with_suffix(".json").read_text())["calibration"]["threshold"]
ROW = data.StructLayout({"uart": 1, "leds": 8, "can_tx": 1})


class Probe(wiring.Component):
    """Asks for a row whenever an output changes."""

    line: In(1)
    control: In(64)
    record: Out(1)
    row: Out(ROW)

    def elaborate(self, platform):
        m = Module()
        m.submodules.system = system = StandaloneIds.from_model(
            MODEL, clock_hz=CLOCK_HZ, bit_rate=BIT_RATE, baud_rate=BAUD, light_cycles=1 << 14
        )
        before = Signal(10)
        now = [self.row.uart.eq(system.uart_tx), self.row.leds.eq(system.leds)]
        m.d.comb += [system.can_rx.eq(self.line), *now, self.row.can_tx.eq(system.can_tx)]
        m.d.sync += before.eq(self.row.as_value())
        m.d.comb += self.record.eq(before != self.row.as_value())
        return m


@pytest.fixture(scope="module")
def bench():
    bench = PinBench(Probe())
    yield bench
    bench.close()


def listen(cycles, levels, end):
    """What a terminal on the line prints: samples in the middle of each bit."""
    text, place = bytearray(), 0
    line = np.ones(end, np.uint8)
    for start, level, stop in zip(cycles, levels, [*cycles[1:], end], strict=True):
        line[start:stop] = level
    while place < end:
        if line[place]:
            place += 1
            continue
        bits = [line[place + CYCLES_PER_BAUD * n + CYCLES_PER_BAUD // 2] for n in range(10)]
        assert (bits[0], bits[9]) == (0, 1), "no start or no stop bit"
        text.append(sum(int(bit) << n for n, bit in enumerate(bits[1:9])))
        place += CYCLES_PER_BAUD * 9 + CYCLES_PER_BAUD // 2 + 1
    return bytes(text)


def judged(frames):
    """Class and score of each frame by the numpy executor, features in the order of the wire."""
    rows = []
    for frame in frames:
        number = frame.identifier << 64 | int.from_bytes(frame.data.ljust(8, b"\0"), "big")
        rows.append([number >> place & 1 for place in reversed(range(75))])
    logits = run(load(MODEL), np.array(rows))[0]
    scores = logits[:, 1:].max(axis=1) - logits[:, 0]
    return logits.argmax(axis=1), scores


def expected_alerts(frames):
    plain = [frame for frame in frames if not (frame.extended or frame.remote)]
    for frame, number, score in zip(plain, *judged(plain), strict=True):
        if number and score >= THRESHOLD:
            yield alert_line(
                class_index=int(number),
                identifier=frame.identifier,
                dlc=min(frame.dlc, 8),
                payload=frame.data,
                score=int(score),
            )


@pytest.fixture(scope="module")
def traffic(bench):
    """Random frames of every kind and some floods, one of them cut off by an error: rows, alerts expected."""
    rng = np.random.default_rng(5)
    floods = [BusFrame(identifier=0, dlc=8, data=bytes(8))] * 3
    frames = [*floods, *(random_frame(rng) for _ in range(60))]
    wave = Waveform(cycles_per_bit=CYCLES_PER_BIT)
    wave.send(idle(12))
    # Cut off in its CRC: judged already, and yet it never was a frame.
    wave.send(frame_bits(floods[0])[:-18])
    wave.send(error_frame()).send(idle(4))
    for frame in frames:
        wave.send(frame_bits(frame)).send(idle(3))
    wave.send(idle(2 * ALERT_CHARACTERS * 10 * CYCLES_PER_BAUD // CYCLES_PER_BIT))
    bench.restart()
    cycles, rows = bench.play(wave.samples())
    return cycles, rows, list(expected_alerts(frames)), bench.cycles


def test_the_alerts_are_those_of_the_numpy_executor(traffic):
    cycles, rows, expected, end = traffic
    assert len(expected) >= 3, "the traffic holds attacks"
    assert listen(cycles, rows["uart"], end).splitlines(keepends=True) == expected


def test_the_bus_is_never_driven(traffic):
    assert traffic[1]["can_tx"].all()


def test_lights_show_verdicts_and_the_broken_frame(traffic):
    seen = int(np.bitwise_or.reduce(traffic[1]["leds"]))
    assert seen & 1 << 7, "the error frame lights the error LED"
    assert not seen & 1 << 6, "no alert was lost"
    classes = {int(line[1:2], 16) for line in traffic[2]}
    assert {number for number in range(1, 4) if seen >> number & 1} >= classes
    assert traffic[1]["leds"][-1] != seen, "lights go out again"


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.onnx is missing: the weights .* such as models/zoo"):
        StandaloneIds.from_model(tmp_path / "gone.onnx")
    judge = StandaloneIds.from_model(MODEL).judge
    judge.verdict_cycles = 113
    with pytest.raises(ValueError, match=r"a verdict takes 113 cycles, 1 more than pass at 1000000 bit/s"):
        StandaloneIds(judge=judge, threshold=1, clock_hz=8_000_000, bit_rate=1_000_000)


def test_another_encoding_is_refused(tmp_path):
    copy = tmp_path / "bytes.onnx"
    copy.write_bytes(MODEL.read_bytes())
    description = json.loads(MODEL.with_suffix(".json").read_text())
    description["encoding"]["kind"] = "bytes"
    copy.with_suffix(".json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"bytes\.onnx takes frames as 'bytes'; .* 'bits' only"):
        StandaloneIds.from_model(copy)
