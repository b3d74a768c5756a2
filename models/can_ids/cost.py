"""What a network costs in hardware before any is made: a model of look-up tables and of memory bits.

Unrolled, every multiply-accumulate has its own logic: about 4.4 LUT for a 2-bit weight and a 2-bit input in a
compressor heap (measured by synthesis, see docs), otherwise in proportion to the product of the bits. Folded,
`lanes` multiply-accumulates are shared, the weights lie in memory and a layer takes `ceil(weights / lanes)`
cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log2

from models.can_ids.topology import Topology

__all__ = ["Cost", "cost"]

LUT_PER_MAC = 4.4  #: 2-bit weight, 2-bit input
#: A comparator of the accumulator with a constant, per accumulator bit.
LUT_PER_THRESHOLD_BIT = 0.5
#: Part of a look-up table that a bit of weight memory takes in distributed form (64 bits a LUT).
LUT_PER_MEMORY_BIT = 1 / 64


@dataclass(frozen=True)
class Cost:
    luts: float
    memory_bits: int
    cycles: int  #: a verdict's, from the last feature on, layers one after another


def cost(topology: Topology, *, lanes: int | None = None) -> Cost:
    """Of the whole network, `lanes` multiply-accumulates a layer working at once; None unrolls everything."""
    luts, cycles = 0.0, 0
    for macs, outputs, product_bits, accumulator_bits, levels in _layers(topology):
        working = macs if lanes is None else min(lanes, macs)
        luts += working * LUT_PER_MAC * product_bits / 4
        luts += outputs * levels * accumulator_bits * LUT_PER_THRESHOLD_BIT
        cycles += ceil(macs / working)
    memory = 0 if lanes is None else topology.weight_storage_bits
    return Cost(luts=luts + memory * LUT_PER_MEMORY_BIT, memory_bits=memory, cycles=cycles)


def _layers(topology: Topology) -> list[tuple[int, int, int, int, int]]:
    """Of each layer: multiply-accumulates, outputs, bits of a product, bits of a sum, thresholds."""
    layers = []
    widths = topology.widths
    input_bits = 1 if topology.encoding.kind == "bits" else 8
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        product_bits = input_bits * topology.weight_bits
        accumulator_bits = product_bits + ceil(log2(max(2, inputs)))
        levels = (1 << topology.activation_bits) - 1 if index < len(topology.hidden) else 1
        layers.append((inputs * outputs, outputs, product_bits, accumulator_bits, levels))
        input_bits = topology.activation_bits
    return layers
