"""The receiver against the bus model, which was written from the standard alone."""

import itertools
from collections import Counter

import numpy as np
import pytest

from hw.can.bit_timing import BitTimer, BitTiming
from hw.can.receiver import Receiver
from sim.campaigns.can_receiver import RECOVERY_BITS, Traffic, mixed_traffic
from sim.can_bus import BusFrame, Waveform, error_frame, frame_bits, idle, random_frame, with_glitches
from sim.can_line import CanLine

COARSE = BitTiming.for_rate(10e6, 1e6)  # 10 cycles a bit: ten times as many frames in the time
FINE = BitTiming.for_rate(100e6, 1e6)
FRAME = BusFrame(identifier=0x2F3, dlc=3, data=b"\x00\xff\x5a")


@pytest.fixture(scope="module")
def built_line():
    with CanLine(COARSE) as line:
        yield line


@pytest.fixture
def line(built_line):
    built_line.restart(COARSE)
    return built_line


@pytest.fixture
def fine_line(built_line):
    built_line.restart(FINE)
    return built_line


def feature_bits(frame: BusFrame) -> list[tuple[int, int]]:
    """Identifier and payload, as the input of a network is numbered."""
    text = f"{frame.identifier:011b}" + "".join(f"{byte:08b}" for byte in frame.data)
    return [(index, int(bit)) for index, bit in enumerate(text)]


def play_frames(line, frames, *, clock_error=0.0):
    traffic = Traffic(line.timing, clock_error=clock_error)
    for frame in frames:
        traffic.frame(frame)
    traffic.wave.send(idle(RECOVERY_BITS))
    return line.play(traffic.wave.samples())


@pytest.mark.parametrize("clock_error", [-0.01, -0.003, 0.0, 0.003, 0.01])
@pytest.mark.parametrize("timing", [COARSE, FINE])
def test_frames_of_every_kind_with_clocks_that_differ(line, timing, clock_error):
    rng = np.random.default_rng(7)
    frames = [random_frame(rng) for _ in range(1000 if timing is COARSE else 150)]
    line.restart(timing)
    heard = play_frames(line, frames, clock_error=clock_error)
    assert heard.accepted == [frame.received for frame in frames]
    assert heard.counts == {
        "accepted": len(frames),
        "extended": sum(frame.extended for frame in frames),
        "remote": sum(frame.remote for frame in frames),
    }
    assert heard.delays == {Receiver.STROBE_CYCLES}


@pytest.mark.parametrize("bit_rate", [125e3, 250e3, 500e3, 1e6])
def test_all_bit_rates_at_one_clock(line, bit_rate):
    rng = np.random.default_rng(8)
    frames = [random_frame(rng) for _ in range(20)]
    line.restart(BitTiming.for_rate(100e6, bit_rate))
    assert play_frames(line, frames).accepted == [frame.received for frame in frames]


def test_the_shortest_frames_back_to_back_lose_nothing(fine_line):
    frames = [BusFrame(identifier=i, remote=True, dlc=8) for i in range(2048)]
    frames = [frame for frame in frames if len(frame_bits(frame) + idle()) == 47]
    assert len(frames) > 50
    frames *= 500 // len(frames) + 1
    heard = play_frames(fine_line, frames)
    assert heard.accepted == frames
    assert set(np.diff(heard.timestamps)) == {47 * FINE.cycles_per_bit}


def test_a_frame_is_on_the_stream_and_stamped_right_after_its_last_crc_bit(fine_line):
    for identifier in range(100, 120):
        frame = BusFrame(identifier=identifier, dlc=1, data=b"\x77")
        begun = fine_line.cycles
        heard = play_frames(fine_line, [frame])
        stuffed = frame_bits(frame)[:-10]
        stuffed_at_end = len(set(stuffed[-6:-1])) == 1
        last_crc_bit = RECOVERY_BITS + len(stuffed) - 1 - stuffed_at_end
        sample_point = begun + FINE.cycles_per_bit * (last_crc_bit + FINE.sample_point)
        glitch_cycles = 3
        reported = sample_point - 1 + BitTimer.PIN_CYCLES + glitch_cycles
        commit = next(cycle for cycle, name in heard.in_frame if name == "commit")
        assert abs(commit - (reported + Receiver.STROBE_CYCLES)) <= 1  # the edge is found to the cycle
        assert heard.taken_at == [commit - Receiver.STROBE_CYCLES + Receiver.FRAME_CYCLES]
        # Seen by the register one cycle before it is seen outside.
        assert heard.timestamps == [heard.taken_at[0] - Receiver.FRAME_CYCLES]


def test_what_happens_in_the_frame_is_told_bit_by_bit(line):
    for dlc in (0, 1, 8, 15):
        frame = BusFrame(identifier=0x5A1, dlc=dlc, data=bytes(range(0xA0, 0xA0 + min(dlc, 8))))
        heard = play_frames(line, [frame])
        assert heard.feature_bits == feature_bits(frame)
        names = [name for _, name in heard.in_frame]
        assert names == ["start", "last_data", "commit", "accepted"]
        cycle_of = {name: cycle for cycle, name in heard.in_frame}
        assert cycle_of["commit"] - cycle_of["last_data"] >= 15 * COARSE.cycles_per_bit - 1


@pytest.mark.parametrize(
    "frame",
    [
        BusFrame(identifier=0x1234567, extended=True, dlc=2, data=b"ab"),
        BusFrame(identifier=0x123, remote=True, dlc=2),
        BusFrame(identifier=0x1234567, extended=True, remote=True),
    ],
)
def test_what_cannot_be_judged_is_aborted_passed_on_and_counted(line, frame):
    heard = play_frames(line, [frame])
    assert [name for _, name in heard.in_frame] == ["start", "abort", "accepted"]
    assert [index for index, _ in heard.feature_bits] == list(range(11))
    assert heard.accepted == [frame]
    assert heard.counts == {"accepted": 1} | {
        name: 1 for name in ("extended", "remote") if getattr(frame, name)
    }


def test_each_start_has_one_commit_or_abort_and_each_commit_one_end(line):
    rng = np.random.default_rng(9)
    traffic = mixed_traffic(rng, COARSE, events=800)
    heard = line.play(traffic.wave.samples())
    judged = [name for _, name in heard.in_frame if name in ("start", "commit", "abort")]
    assert judged[::2] == ["start"] * (len(judged) // 2)
    assert set(judged[1::2]) == {"commit", "abort"}
    after_commit = [name for _, name in heard.in_frame if name in ("commit", "start", "accepted", "rejected")]
    followers = Counter(second for first, second in itertools.pairwise(after_commit) if first == "commit")
    assert set(followers) == {"accepted", "rejected"}


def test_mixed_traffic(line):
    rng = np.random.default_rng(10)
    for clock_error in (-0.01, 0.0, 0.01):
        traffic = mixed_traffic(rng, COARSE, events=1000, clock_error=clock_error)
        heard = line.play(traffic.wave.samples())
        assert heard.accepted == traffic.expected
        assert heard.counts["fd_skipped"] >= traffic.fd_frames
        assert "lost" not in heard.counts


def test_can_fd_frames_between_classical_ones(line):
    rng = np.random.default_rng(12)
    for clock_error in (-0.01, 0.0, 0.01):
        traffic = Traffic(COARSE, clock_error=clock_error)
        for _ in range(150):
            traffic.fd_frame(rng)
            traffic.frame(random_frame(rng))
        traffic.wave.send(idle(RECOVERY_BITS))
        heard = line.play(traffic.wave.samples())
        assert heard.accepted == traffic.expected
        frames = heard.counts["accepted"], heard.counts["fd_skipped"]
        assert frames == (150, 150)
        assert set(heard.counts) <= {"accepted", "extended", "remote", "fd_skipped"}


def test_ten_thousand_frames_of_noise(line):
    rng = np.random.default_rng(13)
    for _ in range(10):
        traffic = Traffic(COARSE)
        for burst in range(1000):
            traffic.noise(rng, pieces=60)
            if burst % 10 == 0:
                traffic.frame(random_frame(rng))
        traffic.wave.send(idle(RECOVERY_BITS))
        heard = line.play(traffic.wave.samples())
        assert heard.frames == traffic.expected
        assert heard.counts["stuff_error"] > 500


def test_every_truncation_and_then_a_good_frame(line):
    bits = frame_bits(FRAME)
    for length in range(1, len(bits)):
        traffic = Traffic(COARSE)
        traffic.raw(bits[:length])
        traffic.frame(FRAME)
        traffic.wave.send(idle(RECOVERY_BITS))
        assert line.play(traffic.wave.samples()).accepted == traffic.expected, f"cut after {length} bits"


def test_every_single_flipped_bit(line):
    bits = frame_bits(FRAME)
    counts = Counter()
    for place in range(len(bits)):
        traffic = Traffic(COARSE)
        traffic.raw([*bits[:place], 1 - bits[place], *bits[place + 1 :]])
        traffic.frame(FRAME)
        traffic.wave.send(idle(RECOVERY_BITS))
        heard = line.play(traffic.wave.samples())
        assert heard.accepted == traffic.expected, f"bit {place} flipped"
        counts.update(heard.counts)
    # CRC delimiter, ACK delimiter, six bits of the end of frame; and its last one.
    assert counts["form_error"] >= 8
    assert counts["overload"] >= 1
    assert counts["stuff_error"] >= 1
    assert counts["crc_error"] >= 20


def test_frames_destroyed_by_other_nodes_and_overload_frames(line):
    bits = frame_bits(FRAME)
    for flag_bits in (6, 12):
        traffic = Traffic(COARSE)
        for cut in range(12, len(bits) - 1, 5):
            traffic.wave.send([*bits[:cut], *error_frame(flag_bits=flag_bits)])
        # Overload frames begin in the first or second bit of the intermission.
        for late in (0, 1):
            traffic.wave.send([*bits, *idle(late), *error_frame(flag_bits=flag_bits)])
            traffic.expected.append(FRAME)
        traffic.frame(FRAME)
        traffic.wave.send(idle(RECOVERY_BITS))
        heard = line.play(traffic.wave.samples())
        assert heard.accepted == traffic.expected
        assert heard.counts["overload"] == 2


def test_a_storm_of_error_flags_and_a_stuck_bus(line):
    traffic = Traffic(COARSE)
    for _ in range(32):  # the transmit errors on the way to bus-off
        traffic.wave.send([*frame_bits(FRAME)[:20], *error_frame()])
    traffic.wave.send([0] * 5000)
    traffic.wave.send(idle(RECOVERY_BITS))
    traffic.frame(FRAME)
    traffic.wave.send(idle(RECOVERY_BITS))
    heard = line.play(traffic.wave.samples())
    assert heard.frames == [FRAME]
    assert heard.counts == {"accepted": 1, "stuff_error": 33}


def test_a_start_of_frame_in_the_last_bit_of_the_intermission(line):
    wave = Waveform(cycles_per_bit=COARSE.cycles_per_bit).send(idle(RECOVERY_BITS))
    for _ in range(5):
        wave.send([*frame_bits(FRAME), *idle(2)])
    wave.send(idle(RECOVERY_BITS))
    assert line.play(wave.samples()).accepted == [FRAME] * 5


def test_short_glitches_anywhere_change_nothing(fine_line):
    rng = np.random.default_rng(14)
    traffic = Traffic(FINE)
    for _ in range(100):
        traffic.frame(random_frame(rng))
    traffic.wave.send(idle(RECOVERY_BITS))
    samples = with_glitches(traffic.wave.samples(), rng=rng, count=2000, longest=2)
    heard = fine_line.play(samples)
    assert heard.accepted == traffic.expected
    assert set(heard.counts) <= {"accepted", "extended", "remote"}


def test_long_glitches_make_no_false_frame_and_no_lock(fine_line):
    rng = np.random.default_rng(15)
    clean = Traffic(FINE)
    clean.frame(FRAME)
    clean.wave.send(idle(RECOVERY_BITS))
    for _ in range(60):
        traffic = Traffic(FINE)
        traffic.frame(random_frame(rng))
        traffic.wave.send(idle(RECOVERY_BITS))
        spoilt = with_glitches(traffic.wave.samples(), rng=rng, count=6, longest=FINE.cycles_per_bit)
        heard = fine_line.play(np.concatenate([spoilt, clean.wave.samples()]))
        assert heard.accepted in ([*traffic.expected, FRAME], [FRAME])


def test_a_frame_waits_on_the_stream_and_the_next_is_lost_and_counted(line):
    first, second, third = (BusFrame(identifier=i, dlc=1, data=bytes([i])) for i in (1, 2, 3))
    line.set(ready=False)
    heard = play_frames(line, [first, second])
    assert heard.frames == []
    assert heard.counts == {"accepted": 2, "lost": 1}
    line.set(ready=True)
    assert play_frames(line, [third]).frames == [first, third]


def test_a_receiver_without_a_timestamp_is_refused():
    with pytest.raises(ValueError, match="timestamp_bits must be at least 1, not 0"):
        Receiver(timestamp_bits=0)
