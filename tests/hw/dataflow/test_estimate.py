"""Estimates against synthesis of whole pipelines: a small one of each kind."""

import pytest

from hw.dataflow.estimate import RELATIVE_ERROR, estimate, total
from hw.dataflow.folding import fold
from hw.dataflow.judge import Judge
from hw.dataflow.pipeline import FoldedPipeline
from hw.resources import area


@pytest.mark.parametrize("kind", ["judge", "folded"])
def test_estimates_are_near_what_synthesis_makes(random_program, kind):
    if kind == "judge":
        program = random_program((48, 32, 4))
        shape = fold(program, judge_cycles=100, slots=2, value_cycles=16)
        made = area(Judge(shape=shape, program=program, model_hash=1))
    else:
        program = random_program((16, 8, 3), bits=2)
        shape = fold(program, judge_cycles=70)
        made = area(FoldedPipeline(shape=shape, program=program))
    expected = total(estimate(shape, loader=kind == "judge"))
    assert made.dsp == 0
    assert made.ramb36 == expected.ramb36
    assert made.lut == pytest.approx(expected.lut, rel=RELATIVE_ERROR)


def test_more_lanes_are_estimated_larger(random_program):
    program = random_program((64, 32, 16, 4), bits=2)
    sizes = [total(estimate(fold(program, judge_cycles=cycles))).lut for cycles in (2000, 400, 100)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1.5 * sizes[0]
