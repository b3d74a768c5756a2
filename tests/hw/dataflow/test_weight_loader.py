"""Images that are right, damaged, for another shape, cut off, and no images at all."""

import zlib

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from hw.dataflow.folding import fold
from hw.dataflow.weight_loader import WeightLoader
from models.program.image import bank_rows, image

RESET = object()
STATUS = ("valid", "loading", "refused_shape", "refused_crc")


def run(loader, pieces):
    """Send each piece, an abandon where it is None; the status after each, and all words written."""
    status, written = [], {}
    reset = Signal()

    async def bench(ctx):
        for piece in pieces:
            if piece is None:
                ctx.set(loader.weights.abandon, 1)
                await ctx.tick()
                ctx.set(loader.weights.abandon, 0)
            if piece is RESET:
                ctx.set(reset, 1)
                await ctx.tick()
                ctx.set(reset, 0)
                piece = b""
            for at in range(0, len(piece or b""), 4):
                ctx.set(loader.weights.words.payload, int.from_bytes(piece[at : at + 4], "little"))
                ctx.set(loader.weights.words.valid, 1)
                cycles = 1
                while not ctx.get(loader.weights.words.ready):
                    await ctx.tick()
                    cycles += 1
                await ctx.tick()
                if ctx.get(loader.load.write):  # the cycle after the word was accepted
                    written[ctx.get(loader.load.slice), ctx.get(loader.load.row)] = ctx.get(loader.load.data)
                ctx.set(loader.weights.words.valid, 0)
                assert cycles <= WeightLoader.WORD_CYCLES + 1
            await ctx.tick().repeat(WeightLoader.CHECK_CYCLES)
            status.append([name for name in STATUS if ctx.get(getattr(loader.weights, name))])

    simulator = Simulator(ResetInserter(reset)(loader))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return status, written


@pytest.fixture
def small(random_program):
    program = random_program((12, 8, 4), bits=8)
    return program, fold(program, judge_cycles=40, slots=2, value_bits=8, value_cycles=8)


def test_the_rows_of_every_bank_arrive(small):
    program, shape = small
    status, written = run(WeightLoader(shape=shape), [image(program, shape, model_hash=2)])
    assert status == [["valid"]]
    first = 0
    for bank in shape.banks:
        for row, expected in enumerate(bank_rows(program, shape)[bank.name]):
            got = sum(written.pop((first + part, row)) << 32 * part for part in range(bank.slices))
            assert got == expected, (bank.name, row)
        first += bank.slices
    assert not written


def test_every_damaged_byte_is_noticed_and_the_next_image_heals_it(small):
    program, shape = small
    good = image(program, shape, model_hash=2)
    damaged = [bytearray(good) for _ in range(3)]
    for at, one in zip((20, len(good) // 2, len(good) - 1), damaged, strict=True):
        one[at] ^= 0x10
    status, _ = run(WeightLoader(shape=shape, model_hash=1), [*map(bytes, damaged), good])
    assert status == [["refused_crc"]] * 3 + [["valid"]]


def test_another_shape_is_refused_and_changes_nothing(small):
    program, shape = small
    other = bytearray(image(program, shape, model_hash=2)[:-4])
    other[4] ^= 1
    other = bytes(other) + zlib.crc32(other).to_bytes(4, "little")
    loader = WeightLoader(shape=shape, model_hash=1)
    status, written = run(loader, [other, b"none", image(program, shape, model_hash=2)])
    assert status == [["valid", "refused_shape"]] * 2 + [["valid"]]
    assert len(written) == shape.payload_words


def test_a_cut_image_leaves_no_weights_and_can_be_abandoned(small):
    program, shape = small
    good = image(program, shape, model_hash=2)
    status, _ = run(WeightLoader(shape=shape, model_hash=1), [good[:8], good[8:40], None, good])
    assert status == [["valid", "loading"], ["loading"], [], ["valid"]]


def test_a_reset_forgets_an_unfinished_image_and_not_the_memories(small):
    program, shape = small
    good = image(program, shape, model_hash=2)
    loader = WeightLoader(shape=shape, model_hash=1)
    status, _ = run(loader, [RESET, good[:40], RESET, good, RESET])
    assert status == [["valid"], ["loading"], [], ["valid"], ["valid"]]
