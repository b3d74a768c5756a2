"""From a bit rate to the BIT_TIMING register of the overlay."""

from __future__ import annotations

__all__ = ["bit_timing"]

HIGHEST_SAMPLE_POINT, LOWEST_SAMPLE_POINT = 0.8, 0.75
LARGEST = {"prescaler": 256, "tseg1": 31, "tseg2": 15}
QUANTA = range(4, 1 + LARGEST["tseg1"] + LARGEST["tseg2"] + 1)
#: The receiver aligns the payload while the bits of the CRC come in.
MIN_CYCLES_PER_BIT = 8
TOLERANCE = 0.001


def bit_timing(clock_hz: float, bit_rate: float) -> dict[str, int]:
    """The fields of BIT_TIMING: the nearest rate, then the latest sample point, then the finest quanta."""
    if bit_rate <= 0:
        raise ValueError(f"the bit rate of the CAN bus must be positive, not {bit_rate!r}")
    best: tuple[tuple[float, float, int], dict[str, int]] | None = None
    for prescaler in range(1, LARGEST["prescaler"] + 1):
        quanta = round(clock_hz / (bit_rate * prescaler))
        if quanta not in QUANTA or prescaler * quanta < MIN_CYCLES_PER_BIT:
            continue
        tseg1 = int(HIGHEST_SAMPLE_POINT * quanta + 1e-9) - 1
        tseg2 = quanta - 1 - tseg1
        sample_point = (1 + tseg1) / quanta
        fits = 1 <= tseg1 <= LARGEST["tseg1"] and 1 <= tseg2 <= LARGEST["tseg2"]
        if not fits or sample_point < LOWEST_SAMPLE_POINT:
            continue
        error = abs(clock_hz / (prescaler * quanta) / bit_rate - 1)
        fields = {"PRESCALER": prescaler - 1, "TSEG1": tseg1, "TSEG2": tseg2, "SJW": (tseg2 + 1) // 2}
        rank = (round(error, 6), -sample_point, -quanta)
        if best is None or rank < best[0]:
            best = (rank, fields)
    if best is None or best[0][0] > TOLERANCE:
        raise ValueError(
            f"a clock of {clock_hz / 1e6:g} MHz does not divide down to {bit_rate:g} bit/s within "
            f"{TOLERANCE:.1%} with a sample point of 75 to 80 %; choose another clock for the overlay"
        )
    return best[1]
