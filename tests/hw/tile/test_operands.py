import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.resources import cells
from hw.tile.operands import TAPS, Operands

CHANNELS = 2
#: Both sets of registers start without a value, so the comparison begins when a window has filled them.
SAT = "-seq 4 -set-init-zero"


@pytest.fixture
def proof(compared_by_yosys):
    """Whether the cells do as the behaviour: what yosys says of it."""
    return lambda: compared_by_yosys(
        *(Operands(channels=CHANNELS, technology=each) for each in (None, "xc7")), SAT
    )


def run(steps: list[dict[str, int]]) -> list[int]:
    """What `x` is after each step."""
    unit, found = Operands(channels=CHANNELS), []

    async def bench(ctx):
        for step in steps:
            for name in ("word", "slides", "takes", "windowed", "upper"):
                ctx.set(getattr(unit, name), step.get(name, 0))
            await ctx.tick()
            found.append(ctx.get(unit.x.as_value()))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


def packed(x: np.ndarray) -> int:
    return int.from_bytes(x.astype(np.uint8).tobytes(), "little")


def test_a_word_is_the_same_for_all_outputs_and_a_window_is_not():
    words = np.arange(1, 2 * TAPS + 1).reshape(TAPS, CHANNELS)
    slides = [{"word": packed(word), "slides": 1} for word in words]
    found = run([{"word": packed(words[0]), "takes": 1}, *slides, {"takes": 1, "windowed": 1}, {}])
    assert found[0] == packed(Operands.compute(words[:1], windowed=False, upper=False))
    assert found[TAPS] == found[0], "operands change only when they are taken"
    assert found[-1] == found[-2] == packed(words[::-1][:CHANNELS].T)
    assert Operands.compute(words[::-1], windowed=True, upper=False).tolist() == [[17, 15], [18, 16]]


def test_instantiated_cells_do_as_the_behaviour(proof):
    assert proof().returncode == 0


def test_the_proof_finds_a_wrong_table(proof, monkeypatch):
    from hw.tile import operands

    right = operands.two_luts
    monkeypatch.setattr(
        operands, "two_luts", lambda m, name, low, high, inputs: right(m, name, high, low, inputs)
    )
    done = proof()
    assert "proof did fail" in done.stdout + done.stderr


@pytest.mark.parametrize("channels", [16])
def test_two_bits_share_a_table_and_no_shift_register_is_made(channels):
    made = cells(Operands(channels=channels, technology="xc7"), "xc7")
    assert made["LUT6_2"] == TAPS * channels * 8 // 2
    assert not any(name.startswith("SRL") for name in made)
    words = 2 * TAPS * channels + (channels - TAPS)
    assert made["FDRE"] == 8 * words
