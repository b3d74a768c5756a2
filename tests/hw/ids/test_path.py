"""The area that is advertised is that of a design which judges frames, and stays under its goal."""

import numpy as np
from amaranth.sim import Simulator

from hw.can.bit_timing import BitTiming
from hw.ids.path import IdsPath
from hw.overlay.ids import MODEL, IdsOverlay
from hw.resources import area
from models.can_ids.frames import Frames
from models.can_ids.zoo import load_model
from models.program import load
from sim.campaigns.ids import bus_frames
from sim.can_bus import Waveform, frame_bits, idle

CYCLES_PER_BIT = 20


def path():
    return IdsPath(shape=IdsOverlay().shape, program=load(MODEL, style="thresholds"), model_hash=1)


def test_a_frame_on_the_pin_becomes_a_record_with_the_golden_verdict():
    frames = Frames.zeros(2)
    frames.identifier[:] = 0x000, 0x316
    frames.dlc[:] = 8, 3
    frames.data[1, :3] = 5, 0x24, 0x68
    timing = BitTiming.for_rate(20e6, 1e6)
    assert timing.cycles_per_bit == CYCLES_PER_BIT
    wave = Waveform(cycles_per_bit=CYCLES_PER_BIT).send(idle(12))
    for frame in bus_frames(frames):
        wave.send(frame_bits(frame)).send(idle())
    unit, records = path(), []

    async def bench(ctx):
        ctx.set(unit.timing.as_value(), timing.word)
        ctx.set(unit.record.ready, 1)
        for level in [*wave.samples(), *[1] * 100]:
            ctx.set(unit.rx, int(level))
            if ctx.get(unit.record.valid):
                record = unit.record.payload
                records.append([ctx.get(record.identifier), ctx.get(record.verdict), ctx.get(record.score)])
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    logits = load_model("ours").logits(frames)
    scores = logits[:, 1:].max(axis=1) - logits[:, 0]
    wanted = np.stack([frames.identifier, logits.argmax(axis=1), scores], axis=1)
    assert records == wanted.tolist()


def test_the_whole_path_is_small():
    size = area(path(), "xc7")
    assert 300 < size.lut <= 1500  # less than the receiver alone would mean that weights were lost
    assert size.dsp == 0
    assert 0 < size.ramb36 <= 8
