"""The host's bit timing against the gateware's own."""

import pytest

from host.ids.bit_timing import bit_timing
from hw.can.bit_timing import BitTiming


@pytest.mark.parametrize("clock_hz", [50e6, 99.999e6, 100e6, 125e6, 16e6])
@pytest.mark.parametrize("bit_rate", [125_000, 250_000, 500_000, 1_000_000])
def test_the_same_as_the_gateware_thinks(clock_hz, bit_rate):
    timing = BitTiming.for_rate(clock_hz, bit_rate)
    fields = bit_timing(clock_hz, bit_rate)
    expected = (timing.prescaler - 1, timing.tseg1, timing.tseg2, timing.sjw)
    assert (fields["PRESCALER"], fields["TSEG1"], fields["TSEG2"], fields["SJW"]) == expected


@pytest.mark.parametrize("bit_rate", [33_333_333, 7_777_777])
def test_a_rate_that_the_clock_cannot_make(bit_rate):
    with pytest.raises(ValueError, match="a clock of 100 MHz does not divide down to"):
        bit_timing(100e6, bit_rate)


def test_a_rate_that_is_none():
    with pytest.raises(ValueError, match="must be positive, not -5"):
        bit_timing(100e6, -5)
