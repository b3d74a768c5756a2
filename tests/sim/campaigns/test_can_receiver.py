from collections import Counter

import numpy as np
import pytest

from hw.can.bit_timing import BitTiming
from sim.campaigns.can_receiver import Traffic, mixed_traffic, run_campaign
from sim.can_bus import BusFrame, frame_bits
from sim.can_line import CanLine

TIMING = BitTiming.for_rate(100e6, 1e6)


@pytest.fixture(scope="module")
def line():
    with CanLine(TIMING) as line:
        yield line


def test_a_short_campaign_with_glitches_and_differing_clocks(line):
    line.restart(TIMING)
    result = run_campaign(line=line, events=400, seed=21, chunk=100)
    assert result.sent == result.heard > 200
    assert result.mismatches == 0


def test_a_frame_that_does_not_come_through_is_a_mismatch(line, monkeypatch):
    def pretending(*args, **options):
        traffic = mixed_traffic(*args, **options)
        traffic.expected.append(BusFrame(identifier=1))
        return traffic

    monkeypatch.setattr("sim.campaigns.can_receiver.mixed_traffic", pretending)
    line.restart(TIMING)
    result = run_campaign(line=line, events=40, chunk=20)
    assert result.mismatches == 2
    assert result.sent == result.heard + 2


def test_traffic_has_every_kind_of_trouble(line):
    line.restart(TIMING)
    heard = line.play(mixed_traffic(np.random.default_rng(22), TIMING, events=400).wave.samples())
    seen = Counter(heard.counts)
    for name in ("stuff_error", "crc_error", "form_error", "overload", "fd_skipped", "extended", "remote"):
        assert seen[name], name


def test_raw_bits_that_are_a_frame_are_expected():
    traffic = Traffic(TIMING)
    traffic.raw(frame_bits(BusFrame(identifier=5)))
    traffic.raw(frame_bits(BusFrame(identifier=6), crc_error=1))
    assert traffic.expected == [BusFrame(identifier=5)]
