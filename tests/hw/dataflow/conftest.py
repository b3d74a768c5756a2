"""Random small networks, as programs, for tests of pipelines."""

from itertools import pairwise

import numpy as np
import pytest

from models.program import Output, Program, Quantiser
from models.program.ops import Dense, MultiThreshold


@pytest.fixture
def random_program():
    """Make a chain of dense layers with biases and thresholds about the middle of each unit's sums."""

    def make(sizes, *, seed=0, bits=1, signed=False, levels=3, weight_max=1, minimum=0, density=0.67):
        rng = np.random.default_rng(seed)
        quantiser = Quantiser(bits=bits, signed=signed)
        source, low, high = "x", quantiser.minimum, quantiser.maximum
        chain = []
        for index, (inputs, outputs) in enumerate(pairwise(sizes)):
            weights = rng.integers(1, weight_max + 1, (outputs, inputs)) * rng.choice(
                [-1, 1], (outputs, inputs)
            )
            weights *= rng.random(weights.shape) < density
            bias = rng.integers(-9, 10, outputs)
            chain.append(
                Dense(
                    name=f"dense{index}",
                    inputs=(source,),
                    output=f"sums{index}",
                    weights=weights,
                    bias=bias,
                )
            )
            source = f"sums{index}"
            if index == len(sizes) - 2:
                break
            signs = rng.choice([-1, 1], outputs)
            middle = signs * ((low + high) / 2 * weights.sum(axis=1) + bias).astype(int)
            spread = max(4, int(np.sqrt(inputs) * (high - low) / 2))
            thresholds = np.sort(middle[:, None] + rng.integers(-spread, spread, (outputs, levels)), axis=1)
            chain.append(
                MultiThreshold(
                    name=f"steps{index}",
                    inputs=(source,),
                    output=f"units{index}",
                    thresholds=thresholds,
                    signs=signs,
                    minimum=minimum,
                )
            )
            source, low, high = f"units{index}", minimum, minimum + levels
        return Program(
            name="random",
            input="x",
            input_shape=(sizes[0],),
            quantiser=quantiser,
            ops=tuple(chain),
            outputs=(Output(tensor=source, shape=(sizes[-1],)),),
        )

    return make
