"""The folding of programs: deadlines met with few lanes, and refusals that say what to do."""

import numpy as np
import pytest

from hw.dataflow.folding import cycles, fold, verdict_cycles
from hw.dataflow.pipeline import FoldedPipeline
from models.program import Output, Program, Quantiser, run
from models.program.ops import Dense, Requantise
from sim.stream_sweep import GAPS, STALLS, StreamBench


@pytest.mark.parametrize("deadline", [500, 120, 30])
def test_folded_layers_alone_are_exact_and_as_fast_as_said(random_program, deadline):
    program = random_program((24, 16, 12, 4), bits=3, seed=2)
    shape = fold(program, judge_cycles=deadline)
    assert verdict_cycles(shape) <= deadline
    vectors = np.random.default_rng(4).integers(0, 8, (6, 24))
    beats = vectors.reshape(-1, shape.layers[0].simd).tolist()
    bench = StreamBench(FoldedPipeline(shape=shape, program=program))
    alone = bench.run({"i": beats[: len(beats) // 6]}, quiet_cycles=deadline, hang_cycles=9999)
    assert alone.cycles["o"][0] - alone.cycles["i"][0] == verdict_cycles(shape)
    logits = run(program, vectors)[0].tolist()
    for gap, stall in (("no gap", "no stall"), ("random", "bursts")):
        seen = bench.run(
            {"i": beats}, gap=GAPS[gap], stall=STALLS[stall], quiet_cycles=deadline, hang_cycles=9999
        )
        assert [decision["logits"] for decision in seen.items["o"]] == logits
        assert [decision["class_index"] for decision in seen.items["o"]] == np.argmax(logits, axis=1).tolist()


def test_a_tighter_deadline_takes_more_lanes(random_program):
    program = random_program((64, 32, 16, 4), bits=2)
    products = [
        sum(layer.simd * layer.pe for layer in fold(program, judge_cycles=deadline).layers)
        for deadline in (3000, 800, 200, 60)
    ]
    assert products == sorted(products)
    assert products[0] == 6  # one product a cycle, and all classes of the last layer
    assert products[-1] > 60


def test_the_report_says_requested_and_actual(random_program):
    program = random_program((24, 12, 8, 3))
    shape = fold(program, judge_cycles=90, slots=3, value_cycles=10)
    report = cycles(shape, judge_cycles=90)
    assert [line.name for line in report] == ["window", "layer 0", "layer 1", "verdict"]
    assert sum(line.actual for line in report) == verdict_cycles(shape) <= 90
    spare = 90 - verdict_cycles(shape)
    assert all(line.requested == line.actual + spare for line in report)


def chain(*ops):
    return Program(
        name="net",
        input="x",
        input_shape=(4,),
        quantiser=Quantiser(bits=2, signed=False),
        ops=ops,
        outputs=(Output(tensor=ops[-1].output, shape=(4,)),),
    )


def dense(name, source):
    return Dense(
        name=name,
        inputs=(source,),
        output=f"{name}_sums",
        weights=np.eye(4, dtype=int),
        bias=np.zeros(4, int),
    )


def test_programs_of_another_form_are_refused_by_the_layer_s_name():
    clip = Requantise(
        name="clip",
        inputs=("one_sums",),
        output="y",
        bias=np.zeros(4, int),
        shift=np.zeros(4, int),
        minimum=0,
        maximum=3,
    )
    with pytest.raises(ValueError, match=r"layer 'clip' \(Requantise\): .* style='thresholds'"):
        fold(chain(dense("one", "x"), clip), judge_cycles=99)
    with pytest.raises(ValueError, match=r"layer 'two' \(Dense\): .* quantiser between two dense layers"):
        fold(chain(dense("one", "x"), dense("two", "one_sums")), judge_cycles=99)
    with pytest.raises(ValueError, match=r"layer 'two' \(Dense\): a pipeline is one chain"):
        fold(chain(dense("one", "x"), dense("two", "x")), judge_cycles=99)


def test_deadlines_that_cannot_be_met_are_refused(random_program):
    program = random_program((24, 12, 8, 3))
    with pytest.raises(ValueError, match=r"cannot be judged within 9 cycles: the fastest folding takes \d+"):
        fold(program, judge_cycles=9)
    # Three words of sums, and a cycle because the newest frame's last is written too late for a COMMIT.
    with pytest.raises(ValueError, match="cannot take a value within 1 cycles, at best within 4"):
        fold(program, judge_cycles=99, slots=3, value_cycles=1)
    with pytest.raises(ValueError, match="layer 'dense0' has 24 inputs, no multiple of 5 frames"):
        fold(program, judge_cycles=99, slots=5)
    with pytest.raises(ValueError, match="reads values up to 1, not of 8 bits"):
        fold(program, judge_cycles=99, slots=3, value_bits=8)
    with pytest.raises(ValueError, match="has one layer; behind a window there must be a second"):
        fold(random_program((24, 3)), judge_cycles=99, slots=3)
