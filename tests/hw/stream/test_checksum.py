"""The running sum against its golden twin, and its pass-through under the shared sweep."""

import random

import pytest
from amaranth.sim import Simulator

from hw.stream.checksum import Checksum
from sim.stream_sweep import sweep


def beats(message: bytes, data_bits: int) -> list[dict[str, int]]:
    size = data_bits // 8
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return [
        {"data": int.from_bytes(part, "little"), "keep": (1 << len(part)) - 1, "last": part is parts[-1]}
        for part in parts
    ]


def test_golden_twin_by_hand():
    assert Checksum.compute(b"\x01\x00\x00\x00\x02\x01") == 1 + 0x0102
    assert Checksum.compute(b"\xff" * 8) == 0xFFFF_FFFE


@pytest.mark.parametrize("data_bits", [32, 64, 128])
def test_total_of_messages_with_partial_last_beats(data_bits):
    rng = random.Random(data_bits)
    unit = Checksum(data_bits=data_bits)

    async def bench(ctx):
        ctx.set(unit.o.ready, 1)
        for length in (1, 3, 4, 5, 15, 16, 17, 64, 100):
            message = rng.randbytes(length)
            ctx.set(unit.clear, 1)
            await ctx.tick()
            ctx.set(unit.clear, 0)
            for beat in beats(message, data_bits):
                # What lies above `keep` must not count.
                junk = rng.getrandbits(data_bits) << (8 * beat["keep"].bit_length())
                ctx.set(unit.i.payload, beat | {"data": (beat["data"] | junk) % (1 << data_bits)})
                ctx.set(unit.i.valid, 1)
                await ctx.tick()
                if rng.random() < 0.5:
                    ctx.set(unit.i.valid, 0)
                    await ctx.tick()
            ctx.set(unit.i.valid, 0)
            await ctx.tick().repeat(Checksum.LATENCY_CYCLES - 1)
            assert ctx.get(unit.total) == Checksum.compute(message)

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_stream_passes_unchanged():
    def items(length, rng):
        return {
            "i": [{"data": rng.getrandbits(32), "keep": 15, "last": n == length - 1} for n in range(length)]
        }

    assert sweep(Checksum(data_bits=32), items=items, golden=lambda given: {"o": given["i"]}) > 50


def test_a_width_without_words_is_refused():
    with pytest.raises(ValueError, match="data_bits must be a positive multiple of 32, not 48"):
        Checksum(data_bits=48)
