import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.arith import ternary_add
from hw.arith.shift_lane import ShiftArray, ShiftSum
from hw.arith.ternary_add import TECHNOLOGIES, TernaryAdd
from hw.resources import area


@pytest.fixture
def differences(compared_by_yosys):
    """Registers of both have no start value, so the comparison begins `cycles` after the first."""
    return lambda plain, cells, *, cycles: compared_by_yosys(
        plain, cells, f"-seq {cycles + 1} -prove-skip {cycles}"
    )


def test_the_behaviour_is_that_of_the_golden_twin():
    unit, rng = TernaryAdd(bits=(4, 7, 6)), np.random.default_rng(2)
    drawn = rng.integers(0, (16, 128, 64), (50, 3)).tolist()
    found = []

    async def bench(ctx):
        for case in [[15, 127, 63], *drawn]:
            for port, value in zip((unit.a, unit.b, unit.c), case, strict=True):
                ctx.set(port, value)
            found.append(ctx.get(unit.total))

    simulator = Simulator(unit)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [TernaryAdd.compute(*case) for case in [[15, 127, 63], *drawn]]


@pytest.mark.parametrize("bits", [(10, 10, 10), (12, 10, 12), (3, 1, 2)])
def test_instantiated_cells_do_as_the_behaviour(bits, differences):
    proof = differences(TernaryAdd(bits=bits), TernaryAdd(bits=bits, technology="xc7"), cycles=1)
    assert proof.returncode == 0, proof.stdout + proof.stderr


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_instantiated_sums_do_as_the_behaviour(channels, differences):
    units = [ShiftSum(channels, each) for each in (None, "xc7")]
    proof = differences(*units, cycles=ShiftArray.latency(channels) + 1)
    assert proof.returncode == 0, proof.stdout + proof.stderr


def test_the_proof_finds_a_wrong_table(differences, monkeypatch):
    right = ternary_add.two_luts
    monkeypatch.setattr(
        ternary_add, "two_luts", lambda m, name, low, high, inputs: right(m, name, high, low, inputs)
    )
    cells = TernaryAdd(bits=(3, 3, 3), technology="xc7")
    proof = differences(TernaryAdd(bits=(3, 3, 3)), cells, cycles=1)
    assert "proof did fail" in proof.stdout + proof.stderr


def test_a_bit_takes_a_table():
    made = area(TernaryAdd(bits=(10, 10, 10), technology="xc7"))
    assert (made.lut, made.carry) == (10, 3)


def test_unknown_technology_is_refused():
    with pytest.raises(ValueError, match=r"technology must be one of \('xc7', 'xcup'\) .* not 'ice40'"):
        TernaryAdd(bits=(3, 3, 3), technology="ice40")
    assert "xc7" in TECHNOLOGIES
