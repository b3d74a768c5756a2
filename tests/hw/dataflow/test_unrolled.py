"""Constant networks against the program, and their latency."""

import numpy as np
import pytest

from hw.dataflow.unrolled import UnrolledPipeline
from models.program import run
from sim.stream_sweep import STALLS, StreamBench

NETWORKS = {
    "bytes": ((12, 8, 3), {"bits": 8, "signed": True}),
    "bits": ((20, 10, 8, 4), {"bits": 1}),
    "sparse, with units that are constant": ((16, 8, 5), {"bits": 4, "minimum": -1, "density": 0.12}),
    "binary activations": ((10, 9, 8, 2), {"bits": 3, "levels": 1}),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("period", [1, 2])
def test_every_vector_gives_the_program_s_decision(random_program, name, period):
    sizes, options = NETWORKS[name]
    program = random_program(sizes, seed=3, **options)
    unit = UnrolledPipeline(program=program, adders_per_cycle=period)
    rng = np.random.default_rng(1)
    vectors = rng.integers(0, 1 << options["bits"], (14, sizes[0]))
    vectors[0], vectors[1] = 0, (1 << options["bits"]) - 1
    logits = run(program, vectors + program.quantiser.minimum)[0]
    expected = [
        {"class_index": int(row.argmax()), "score": int(row[1:].max() - row[0]), "logits": row.tolist()}
        for row in logits
    ]
    bench = StreamBench(unit)
    seen = bench.run({"i": vectors.tolist()}, quiet_cycles=50)
    assert seen.items["o"] == expected
    assert (np.subtract(seen.cycles["o"], seen.cycles["i"]) == unit.latency_cycles).all()
    assert seen.cycles["i"] == list(range(seen.cycles["i"][0], seen.cycles["i"][0] + 14))
    stalled = bench.run({"i": vectors.tolist()}, stall=STALLS["random"], quiet_cycles=50)
    assert stalled.items["o"] == expected


def test_wider_weights_are_refused(random_program):
    with pytest.raises(ValueError, match=r"layer 'dense0' has weights up to 3, .* or fold it"):
        UnrolledPipeline(program=random_program((4, 4, 2), weight_max=3))
    with pytest.raises(ValueError, match="adders_per_cycle must be at least 1, not 0"):
        UnrolledPipeline(program=random_program((4, 4, 2)), adders_per_cycle=0)
