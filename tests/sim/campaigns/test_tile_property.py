"""Any legal program compiles and runs bit for bit: hypothesis chooses, and shrinks what fails."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from hw.tile.compile import compile_program
from hw.tile.preset import preset
from models.program.ops import ProgramError
from sim.board import MemoryModel
from sim.campaigns.tile import TileBench
from sim.campaigns.tile_programs import random_layer, random_network

EXAMPLES = 30


class Drawn:
    """What the programs ask of numpy's Generator, chosen by hypothesis: scalars by it, arrays by a seed."""

    def __init__(self, draw: st.DrawFn):
        self._draw = draw
        self._arrays = np.random.default_rng(draw(st.integers(0, 1000)))

    def integers(self, low, high=None, size=None):
        low, high = (0, low) if high is None else (low, high)
        return (
            self._draw(st.integers(low, high - 1)) if size is None else self._arrays.integers(low, high, size)
        )

    def choice(self, values, size=None):
        return (
            self._draw(st.sampled_from(list(values))) if size is None else self._arrays.choice(values, size)
        )

    def random(self):
        return self._draw(st.integers(0, 99)) / 100


@st.composite
def cases(draw):
    rng = Drawn(draw)
    program = draw(st.sampled_from([random_layer, random_network]))(rng)
    memory = MemoryModel(
        latency=draw(st.integers(0, 63)),
        stalls=draw(st.sampled_from([0.0, 0.3])),
        seed=draw(st.integers(0, 99)),
    )
    source = program.tensors[program.input]
    sample = rng.integers(source.minimum, source.maximum + 1, program.input_shape)
    return program, memory, sample


@pytest.fixture(scope="module")
def bench(event_loop_of_pynq):
    with TileBench() as bench:
        yield bench


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
def test_any_legal_program_compiles_and_runs_bit_for_bit(bench, case):
    program, memory, sample = case
    bench.board.memory = memory
    assert bench.mismatches(program, sample) == 0


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
def test_a_smaller_engine_takes_a_program_or_names_the_layer(case):
    program, _, _ = case
    refusal = _refusal(program, preset("sim").replace(name="tiny", feature_words=128, weight_words=64))
    assert refusal is None or any(f"layer '{op.name}" in refusal for op in program.ops)
    event("refused" if refusal else "taken")


def _refusal(program, engine) -> str | None:
    try:
        compile_program(program, engine)
    except ProgramError as error:
        return str(error)
    return None
