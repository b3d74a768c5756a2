"""The layer that is compared: 3x3, power-of-two weights, seeded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.program import Output, Program, Quantiser, ops, run

__all__ = ["EXPONENTS", "KERNEL", "PeerLayer"]

KERNEL = 3
#: NNgen's coding of a weight: n stands for 2^n, -n for -2^n, and 0 for 1. It has no zero and no -1.
EXPONENTS = (-2, -1, 0, 1, 2)
#: Leaves the results spread over the 7 bits that they are clipped to.
SHIFT = 6
LARGEST = 127


@dataclass(frozen=True, kw_only=True)
class PeerLayer:
    """A square map of signed bytes, convolved with same padding, shifted, and clipped to 0 .. 127."""

    channels: int = 64
    size: int = 32
    seed: int = 0

    @cached_property
    def exponents(self) -> np.ndarray:
        """Outputs x inputs x rows x columns."""
        rng = np.random.default_rng(self.seed)
        return rng.choice(EXPONENTS, (self.channels, self.channels, KERNEL, KERNEL))

    @cached_property
    def weights(self) -> np.ndarray:
        return np.where(self.exponents < 0, -1, 1) << np.abs(self.exponents)

    @cached_property
    def bias(self) -> np.ndarray:
        return np.random.default_rng(self.seed + 1).integers(-1000, 1000, self.channels)

    @cached_property
    def sample(self) -> np.ndarray:
        """Channels x rows x columns."""
        shape = (self.channels, self.size, self.size)
        return np.random.default_rng(self.seed + 2).integers(-128, 128, shape)

    @property
    def macs(self) -> int:
        """Those beside the map's edge too, as it is counted everywhere."""
        return self.weights.size * self.size**2

    @property
    def program(self) -> Program:
        """With the rounding of our requantisers, half to even."""
        quantised = ops.Requantise(
            name="quant", inputs=("sum",), output="map", bias=np.zeros(self.channels, np.int64),
            shift=np.full(self.channels, SHIFT), minimum=0, maximum=LARGEST,
        )  # fmt: skip
        shape = (self.channels, self.size, self.size)
        return Program(
            name="peer", input="image", input_shape=shape, quantiser=Quantiser(signed=True),
            ops=(self._convolution, quantised), outputs=(Output(tensor="map", shape=shape),),
        )  # fmt: skip

    @property
    def _convolution(self) -> ops.Convolution:
        return ops.Convolution(
            name="conv", inputs=("image",), output="sum", weights=self.weights, bias=self.bias,
            padding=(KERNEL // 2,) * 4,
        )  # fmt: skip

    def expected(self) -> np.ndarray:
        return run(self.program, self.sample[None])[0][0]

    def truncated(self) -> np.ndarray:
        """What NNgen's hardware makes of it: it neither rounds nor clips, so that large results wrap."""
        padded = np.pad(self.sample, ((0, 0), (1, 1), (1, 1)))
        sums = np.zeros(self.sample.shape, np.int64) + self.bias[:, None, None]
        for y, x in np.ndindex(KERNEL, KERNEL):
            window = padded[:, y : y + self.size, x : x + self.size]
            sums += np.tensordot(self.weights[:, :, y, x], window, axes=1)
        return np.maximum(sums >> SHIFT, 0).astype(np.int8)
