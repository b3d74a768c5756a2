import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.tile.preset import preset
from hw.tile.residual import OFFSET_BITS, Residual

SIM = preset("sim")
SLOT_CYCLES = 2  # from an address to the word of a row slot, which comes with `how`
LIMIT = 1 << OFFSET_BITS - 1


def exact(byte: int, other: int, *, offset: int, halves: bool, low: int, high: int) -> int:
    """By Python's own rounding, which is half to even."""
    return min(max(round((byte + other + offset) / (2 if halves else 1)), low), high)


def packed(values) -> int:
    return int.from_bytes(bytes(int(value) for value in values), "little")


def sums(steps: list[dict]) -> list[list[int]]:
    """What leaves for each step: a word with `how`, and another word that lies at the address asked for."""
    unit, found = Residual(SIM), []
    depth = SIM.row_slots * SIM.row_words

    async def bench(ctx):
        late = SLOT_CYCLES + Residual.LATENCY_CYCLES
        for cycle in range(len(steps) + late + 1):
            if cycle < len(steps):  # written a cycle before it is read, each time elsewhere
                ctx.set(unit.write, 1)
                ctx.set(unit.write_addr, cycle % depth)
                ctx.set(unit.write_data, packed(steps[cycle]["others"]))
            if 1 <= cycle <= len(steps):
                ctx.set(unit.addr, (cycle - 1) % depth)
            if SLOT_CYCLES <= cycle < len(steps) + SLOT_CYCLES:
                ctx.set(unit.adds, steps[cycle - SLOT_CYCLES]["adds"])
            if 1 + SLOT_CYCLES <= cycle <= len(steps) + SLOT_CYCLES:
                step = steps[cycle - 1 - SLOT_CYCLES]
                ctx.set(unit.word, packed(step["bytes"]))
                ctx.set(unit.how, step["how"])
            if cycle > late:
                found.append(list(ctx.get(unit.sum).to_bytes(SIM.channels, "little")))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def how(*, offset=0, halves=0, low=0, high=255) -> dict[str, int]:
    return {"offset": offset, "halves": halves, "low": low, "high": high}


def expected(step: dict) -> list[int]:
    return [
        Residual.compute(int(byte), int(other) * step["adds"], **step["how"])
        for byte, other in zip(step["bytes"], step["others"], strict=True)
    ]


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0, 255), (7, 100), (128, 128), (0, 0), (255, 255)])
def test_the_golden_twin_rounds_half_to_even_and_clips(halves, low, high):
    """Every sum that there can be."""
    rest = {"halves": halves, "low": low, "high": high}
    for offset in range(-LIMIT, LIMIT):
        for total in (0, 1, 254, 255, 256, 257, 509, 510):
            byte = min(total, 255)
            found = Residual.compute(byte, total - byte, offset=offset, **rest)
            assert found == exact(byte, total - byte, offset=offset, **rest)


def test_gateware_adds_as_its_golden_twin():
    """The edges of everything together, then anything, a word of another instruction each cycle."""
    rng = np.random.default_rng(4)
    edges = [0, 1, 127, 128, 254, 255]
    steps = []
    for offset in (-LIMIT, -LIMIT + 1, -257, -256, -255, -2, -1, 0, 1, 2, 255, 256, LIMIT - 1):
        for halves in (0, 1):
            for low, high in ((0, 255), (0, 127), (128, 255), (40, 40), (255, 255), (0, 0)):
                others = rng.choice(edges, SIM.channels)
                bytes_ = rng.choice(edges, SIM.channels)
                limits = {"offset": offset, "halves": halves, "low": low, "high": high}
                steps.append({"bytes": bytes_, "others": others, "adds": 1, "how": how(**limits)})
    for _ in range(3000):
        low = int(rng.integers(256))
        offset = int(rng.integers(-LIMIT, LIMIT)) >> int(rng.integers(8))
        rest = {"offset": offset, "halves": int(rng.integers(2)), "low": low}
        given = {"adds": int(rng.integers(2)), "how": how(high=int(rng.integers(low, 256)), **rest)}
        bytes_, others = rng.integers(0, 256, (2, SIM.channels))
        steps.append({"bytes": bytes_, "others": others} | given)
    found = sums(steps)
    assert found == [expected(step) for step in steps]
    assert {value for word in found for value in word} == set(range(256))


def test_a_row_that_shall_pass_as_it_is_does():
    rng = np.random.default_rng(5)
    words = rng.integers(0, 256, (50, 2, SIM.channels))
    steps = [{"bytes": own, "others": other, "adds": 0, "how": how()} for own, other in words]
    assert sums(steps) == words[:, 0].tolist()
