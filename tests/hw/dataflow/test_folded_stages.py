"""Threshold, FoldedDense and ArgMax alone, each against arithmetic written out here."""

from random import Random

import numpy as np
import pytest

from hw.dataflow.arg_max import ArgMax
from hw.dataflow.folded_dense import FoldedDense
from hw.dataflow.threshold import Threshold
from models.program.pipeline_shape import Bank, LayerShape
from sim.stream_sweep import StreamBench, sweep


def packed(values, bits):
    return sum((int(value) & (1 << bits) - 1) << bits * at for at, value in enumerate(values))


@pytest.mark.parametrize(("lanes", "levels", "is_signed"), [(1, 3, True), (2, 3, False), (4, 1, True)])
def test_sums_count_the_thresholds_that_they_reach(lanes, levels, is_signed):
    rng = Random(lanes)
    low, high = (-32, 31) if is_signed else (0, 63)
    thresholds = [sorted(rng.randint(low, high) for _ in range(levels)) for _ in range(8)]
    rows = [
        packed([value for unit in thresholds[at : at + lanes] for value in unit], 6)
        for at in range(0, 8, lanes)
    ]
    bank = Bank("thresholds", 8 // lanes, 6 * levels * lanes)
    unit = Threshold(
        sum_bits=6,
        sum_signed=is_signed,
        threshold_bits=6,
        lanes=lanes,
        levels=levels,
        banks=[bank],
        bank="thresholds",
        rows=rows,
    )

    def items(length, random):
        return {"i": [[random.randint(low, high) for _ in range(lanes)] for _ in range(length)]}

    def golden(given):
        flat = [number for beat in given["i"] for number in beat]
        counts = [sum(number >= t for t in thresholds[at % 8]) for at, number in enumerate(flat)]
        assert Threshold.compute(flat, thresholds) == counts
        return {"o": [counts[at : at + lanes] for at in range(0, len(counts), lanes)]}

    # One length only: the unit goes through its rows from reset on.
    sweep(unit, items=items, golden=golden, lengths=(1, 19))
    cycles = StreamBench(unit).run(items(9, rng)).cycles
    assert (np.subtract(cycles["o"], cycles["i"]) == Threshold.LATENCY_CYCLES).all()


@pytest.mark.parametrize("weight_max", [1, 3])
@pytest.mark.parametrize(("simd", "pe"), [(1, 4), (4, 1), (12, 2), (3, 4)])
def test_sums_of_products(simd, pe, weight_max):
    shape = LayerShape(inputs=12, outputs=4, input_max=3, simd=simd, pe=pe, levels=3, weight_max=weight_max)
    rng = np.random.default_rng(simd)
    weights = rng.integers(-weight_max, weight_max + 1, (4, 12))
    weights[0] = weight_max  # the extremes that the widths are for
    weights[1] = -weight_max
    bank = shape.banks(0)[0]
    rows = [
        packed(
            [weights[group * pe + out, beat * simd + lane] for out in range(pe) for lane in range(simd)],
            shape.weight_bits,
        )
        for group in range(4 // pe)
        for beat in range(12 // simd)
    ]
    unit = FoldedDense(shape=shape, banks=[bank], bank=bank.name, rows=rows)

    def beats(vectors):
        return [list(v[at : at + simd]) for v in vectors for _ in range(4 // pe) for at in range(0, 12, simd)]

    def sums(vectors):
        """-x is ~x and a constant in every ternary product, ~x for the sign bit of every wider one."""
        wide = 3 * 12 << shape.weight_bits - 1
        offsets = 3 * (weights < 0).sum(axis=1) if weight_max == 1 else np.full(4, wide)
        return [(weights @ v + offsets).tolist() for v in vectors]

    def items(length, random):
        vectors = [np.array([random.choice((0, 3, 1, 2)) for _ in range(12)]) for _ in range(length)]
        vectors[0][:] = 3
        items.vectors = vectors
        return {"i": [[int(x) for x in beat] for beat in beats(vectors)]}

    def golden(given):
        del given
        flat = [total for one in sums(items.vectors) for total in one]
        assert FoldedDense.compute(weights.tolist(), items.vectors[0], shape) == sums(items.vectors)[0]
        return {"o": [flat[at : at + pe] for at in range(0, len(flat), pe)]}

    sweep(unit, items=items, golden=golden, lengths=(1, 3))
    cycles = StreamBench(unit).run(items(3, Random(1))).cycles
    ends = cycles["i"][12 // simd - 1 :: 12 // simd]
    assert (np.subtract(cycles["o"], ends) == FoldedDense.LATENCY_CYCLES).all()
    assert cycles["i"][-1] - cycles["i"][0] == len(cycles["i"]) - 1


def test_the_greatest_logit_wins_and_ties_go_to_the_lowest_index():
    shape = LayerShape(inputs=4, outputs=4, input_max=3, simd=1, pe=4, levels=0)
    bias = [-6, 0, 3, -2]
    bank = shape.banks(0)[1]
    unit = ArgMax(
        shape=shape, banks=[bank], bank=bank.name, rows=[packed([one], shape.logit_bits) for one in bias]
    )
    rng = Random(5)
    cases = [[6, 0, 0, 0], [12, 6, 3, 8], [0, 9, 6, 0], [0, 9, 6, 12], [12, 0, 0, 0], [0, 0, 0, 12]]
    cases += [[rng.randint(0, 12) for _ in range(4)] for _ in range(30)]

    def decision(sums):
        logits = [total + one for total, one in zip(sums, bias, strict=True)]
        return {
            "class_index": int(np.argmax(logits)),
            "score": max(logits[1:]) - logits[0],
            "logits": logits,
        }

    sweep(
        unit,
        items=lambda length, random: {"i": cases[:length]},
        golden=lambda given: {"o": [decision(one) for one in given["i"]]},
        lengths=(1, 36),
    )
    cycles = StreamBench(unit).run({"i": cases}).cycles
    assert (np.subtract(cycles["o"], cycles["i"]) == ArgMax.latency_cycles(4)).all()
    for one in cases:
        logits = decision(one)["logits"]
        assert ArgMax.compute(logits) == decision(one)
