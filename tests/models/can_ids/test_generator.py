"""Generated traffic: what the vehicles send, how the bus carries it, and what attacks do to it."""

import numpy as np
import pytest

from models.can_ids.frames import Attack, Frames
from models.can_ids.generator import forged_payloads, generate
from models.can_ids.generator_attacks import ATTACKS, SHARES, inject
from models.can_ids.generator_bus import arbitrate, wire_bits
from models.can_ids.generator_vehicle import VEHICLES, vehicle

NUMBERS = sorted(VEHICLES)


@pytest.fixture(scope="module")
def drives():
    return {number: generate(vehicle_number=number, seconds=30) for number in NUMBERS}


def same(left, right):
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in vars(left))


def test_equal_arguments_give_equal_frames():
    kinds = list(ATTACKS)
    assert same(generate(seconds=20, seed=5, attacks=kinds), generate(seconds=20, seed=5, attacks=kinds))


def test_another_seed_is_another_drive():
    first, second = generate(seconds=5, seed=1), generate(seconds=5, seed=2)
    assert set(first.identifier.tolist()) == set(second.identifier.tolist())
    assert not np.array_equal(first.data[:1000], second.data[:1000])


def test_vehicles_differ_in_their_identifiers(drives):
    sets = [set(drives[number].identifier.tolist()) for number in NUMBERS]
    for place, one in enumerate(sets):
        for other in sets[place + 1 :]:
            assert len(one & other) < len(one) / 4


@pytest.mark.parametrize("number", NUMBERS)
def test_frames_are_benign_and_well_formed(drives, number):
    frames = drives[number]
    assert (frames.attack == Attack.BENIGN).all()
    assert (frames.extended == VEHICLES[number].extended).all()
    assert (frames.identifier < (1 << 29 if VEHICLES[number].extended else 0x700)).all()
    beyond = np.arange(8) >= frames.dlc[:, None]
    assert not frames.data[beyond].any()
    assert not np.isnan(frames.timestamp).any()


@pytest.mark.parametrize("number", NUMBERS)
def test_each_identifier_keeps_its_period(drives, number):
    frames = drives[number]
    for message in vehicle(number).messages:
        gaps = np.diff(frames.timestamp[frames.identifier == message.identifier])
        assert abs(gaps.mean() * 1000 / message.period_ms - 1) < 0.02
        assert gaps.std() * 1000 < 0.08 * message.period_ms + 1


@pytest.mark.parametrize("number", NUMBERS)
def test_frames_never_overlap_on_the_bus(drives, number):
    frames = drives[number]
    starts = frames.timestamp - wire_bits(frames) / VEHICLES[number].bit_rate
    assert (starts[1:] - frames.timestamp[:-1]).min() > -2e-6  # the stamps are rounded to microseconds
    load = wire_bits(frames).sum() / VEHICLES[number].bit_rate / 30
    assert 0.2 < load < 0.6


def test_counters_count_and_checksums_check(drives):
    seen = set()
    for number in NUMBERS:
        frames = drives[number]
        for message in vehicle(number).messages:
            own = frames.data[frames.identifier == message.identifier]
            for signal in message.signals:
                if signal.kind == "counter":
                    assert (np.diff(own[:, signal.at].astype(int) & 15) % 16 == 1).all()
            if message.checksum:
                seen.add(message.checksum)
                body, check = own[:, : message.dlc - 1].astype(int), own[:, message.dlc - 1]
                low = message.identifier & 0xFF
                if message.checksum == "sum":
                    assert (check == (body.sum(axis=1) + low) % 256).all()
                elif message.checksum == "xor":
                    assert (check == np.bitwise_xor.reduce(body, axis=1) ^ low).all()
                else:
                    assert [j1850(row) for row in body[:50].tolist()] == check[:50].tolist()
    assert seen == {"sum", "xor", "crc8"}


def j1850(octets):
    """CRC-8/SAE-J1850 bit by bit; of "123456789" it is 0x4B."""
    remainder = 0xFF
    for octet in octets:
        for place in range(7, -1, -1):
            top = (remainder >> 7) ^ (octet >> place & 1)
            remainder = (remainder << 1 & 0xFF) ^ (0x1D if top else 0)
    return remainder ^ 0xFF


def test_the_reference_checksum_is_the_published_one():
    assert j1850(b"123456789") == 0x4B


def test_payloads_hold_what_a_drive_would_show(drives):
    kinds = {
        signal.kind
        for number in NUMBERS
        for message in vehicle(number).messages
        for signal in message.signals
    }
    assert kinds == {"constant", "quantity", "walk", "sine", "flags", "counter", "multiplexed"}
    target = vehicle(1).targets["spoofing"]
    rpm = drives[1].data[drives[1].identifier == target][:, :2] @ np.array([256, 1])
    assert rpm.max() > 1.5 * rpm.min()
    assert np.abs(np.diff(rpm)).max() < 0.4 * rpm.max()  # engines do not jump about


@pytest.mark.parametrize("number", NUMBERS)
def test_a_spoofer_sends_one_frame_on_every_drive_which_the_sender_never_sends(number):
    sent = set()
    for seed in (1, 2):
        frames = generate(vehicle_number=number, seconds=20, seed=seed, attacks=("spoofing",))
        spoofed = frames.attack == Attack.SPOOFING
        target = vehicle(number).targets["spoofing"]
        assert set(frames.identifier[spoofed].tolist()) == {target}
        sent |= set(map(bytes, frames.data[spoofed]))
        own = ~spoofed & (frames.identifier == target)
        assert not (frames.data[own, :2] == 0xFF).all(axis=1).any()
    assert sent == {forged_payloads(vehicle(number))["spoofing"].ljust(8, b"\0")}


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("vehicle_number", 9, r"no vehicle 9; choose one of 1 \(saloon\)"),
        ("seconds", 0, "between 0 and a day"),
        ("attacks", ["dos", "bogus"], r"some of dos, .*not \['bogus'\]"),
    ],
)
def test_wrong_arguments_are_explained(argument, value, message):
    with pytest.raises(ValueError, match=message):
        generate(**{"seconds": 2, argument: value})


def slow_bits(identifier, data, extended, remote, dlc):
    """The bits of a frame as the standard spells them, one after the other."""
    bits = "0" + (
        f"{identifier >> 18:011b}11{identifier & 0x3FFFF:018b}" if extended else f"{identifier:011b}"
    )
    bits += f"{remote:d}00{dlc:04b}" + "".join(f"{octet:08b}" for octet in data)
    remainder = 0
    for bit in bits:
        top = int(bit) ^ remainder >> 14
        remainder = remainder << 1 & 0x7FFF
        if top:
            remainder ^= 0x4599
    sent = ""
    for bit in f"{bits}{remainder:015b}":
        sent += bit
        if sent.endswith(("00000", "11111")):
            sent += "1" if bit == "0" else "0"
    return len(sent) + 1 + 2 + 7 + 3


def test_frames_take_the_time_that_the_standard_says():
    draw = np.random.default_rng(3)
    frames = Frames.zeros(600)
    frames.extended[:] = draw.random(600) < 0.4
    frames.remote[:] = draw.random(600) < 0.2
    frames.dlc[:] = draw.integers(0, 9, 600)
    frames.identifier[:] = draw.integers(0, 1 << 29, 600) & np.where(frames.extended, (1 << 29) - 1, 0x7FF)
    for row in range(600):
        octets = 0 if frames.remote[row] else frames.dlc[row]
        frames.data[row, :octets] = draw.choice([0, 0xFF, 0x0F, 0x55], octets)
    expected = []
    for row in range(600):
        octets = 0 if frames.remote[row] else frames.dlc[row]
        columns = (frames.identifier, frames.extended, frames.remote, frames.dlc)
        identifier, extended, remote, dlc = (int(column[row]) for column in columns)
        expected.append(slow_bits(identifier, frames.data[row, :octets].tolist(), extended, remote, dlc))
    assert wire_bits(frames).tolist() == expected


def test_frame_lengths_stay_within_the_known_bounds(drives):
    """111 to 135 bits for eight bytes and eleven bits of identifier, the pause included."""
    frames = drives[1][drives[1].dlc == 8]
    assert wire_bits(frames).min() >= 111
    assert wire_bits(frames).max() <= 135


def test_the_lowest_identifier_goes_first_and_nobody_is_interrupted():
    frames = Frames.zeros(4)
    frames.identifier[:] = [0x300, 0x200, 0x100, 0x050]
    frames.timestamp[:] = [0.0, 10e-6, 10e-6, 10.0]
    frames.data[:, 0] = [1, 2, 3, 4]
    carried = arbitrate(frames, bit_rate=500_000)
    assert carried.identifier.tolist() == [0x300, 0x100, 0x200, 0x050]
    assert carried.timestamp[0] == pytest.approx(wire_bits(frames)[0] / 500_000, abs=1e-6)
    assert np.diff(carried.timestamp)[:2] == pytest.approx(wire_bits(frames)[[2, 1]] / 500_000, abs=2e-6)
    assert carried.timestamp[3] > 10


def test_a_standard_frame_goes_before_an_extended_one_with_the_same_first_bits():
    frames = Frames.zeros(2)
    frames.extended[:] = [True, False]
    frames.identifier[:] = [0x123 << 18, 0x123]
    frames.timestamp[:] = 0
    assert arbitrate(frames, bit_rate=500_000).extended.tolist() == [False, True]


# Attacks on a capture.


@pytest.fixture(scope="module")
def benign():
    return generate(vehicle_number=2, seconds=120)


def bursts_of(frames, attack):
    """First and last row of each stretch in which the attack does not pause for a second."""
    rows = np.flatnonzero(frames.attack == attack)
    cuts = np.flatnonzero(np.diff(frames.timestamp[rows]) > 1)
    return list(zip(rows[np.r_[0, cuts + 1]], rows[np.r_[cuts, len(rows) - 1]], strict=True))


@pytest.mark.parametrize("kind", ATTACKS)
def test_an_attack_comes_in_labelled_bursts(benign, kind):
    frames = inject(benign, [kind], seed=4)
    assert set(frames.attack.tolist()) == {Attack.BENIGN, ATTACKS[kind]}
    bursts = bursts_of(frames, ATTACKS[kind])
    assert 8 <= len(bursts) <= 20
    for first, last in bursts:
        assert 2 < frames.timestamp[last] - frames.timestamp[first] < 5.1
    assert (np.diff(frames.timestamp) >= 0).all()


@pytest.mark.parametrize("kind", [kind for kind in ATTACKS if kind not in ("suspension", "masquerade")])
def test_the_benign_frames_stay_as_they_were(benign, kind):
    frames = inject(benign, [kind])
    assert same(frames[frames.attack == Attack.BENIGN], benign)


@pytest.mark.parametrize("kind", ["dos", "fuzzing", "spoofing", "replay"])
def test_the_share_in_a_burst_is_the_measured_one(benign, kind):
    frames = inject(benign, [kind])
    for first, last in bursts_of(frames, ATTACKS[kind]):
        share = (frames.attack[first : last + 1] != Attack.BENIGN).mean()
        assert share == pytest.approx(SHARES.get(kind, 0.35), abs=0.02)


def test_the_share_can_be_chosen(benign):
    frames = inject(benign, ["fuzzing"], shares={"fuzzing": 0.1})
    first, last = bursts_of(frames, Attack.FUZZING)[0]
    assert (frames.attack[first : last + 1] != Attack.BENIGN).mean() == pytest.approx(0.1, abs=0.02)


def attacked(benign, kind, **options):
    frames = inject(benign, [kind], **options)
    return frames[frames.attack == ATTACKS[kind]]


def test_dos_floods_with_the_highest_priority(benign):
    frames = attacked(benign, "dos")
    assert not frames.identifier.any()
    assert not frames.data.any()
    assert (attacked(benign, "dos_priority").identifier < benign.identifier.min()).all()


def test_fuzzing_uses_all_identifiers_and_bytes(benign):
    frames = attacked(benign, "fuzzing")
    assert len(np.unique(frames.identifier)) > 1900
    assert frames.data.mean() == pytest.approx(127.5, abs=2)


def test_spoofing_sends_what_it_is_told_to(benign):
    target = int(benign.identifier[0])
    frames = attacked(
        benign, "spoofing", targets={"spoofing": target}, payloads={"spoofing": b"\x45\x29\x24"}
    )
    assert set(frames.identifier.tolist()) == {target}
    assert {row.tobytes() for row in frames.data} == {b"\x45\x29\x24".ljust(8, b"\0")}
    assert set(frames.dlc.tolist()) == {3}


def test_a_drawn_spoof_is_fixed_in_a_burst_and_never_seen_before(benign):
    frames = inject(benign, ["spoofing"])
    target = frames.identifier[frames.attack == Attack.SPOOFING][0]
    seen = {row.tobytes() for row in benign.data[benign.identifier == target]}
    for first, last in bursts_of(frames, Attack.SPOOFING):
        burst = frames[first : last + 1]
        payloads = {row.tobytes() for row in burst.data[burst.attack == Attack.SPOOFING]}
        assert len(payloads) == 1
        assert not payloads & seen


def test_replayed_frames_were_on_the_bus_before(benign):
    pairs = {(i, d.tobytes()) for i, d in zip(benign.identifier.tolist(), benign.data, strict=True)}
    frames = attacked(benign, "replay")
    assert {(i, d.tobytes()) for i, d in zip(frames.identifier.tolist(), frames.data, strict=True)} <= pairs
    assert len(np.unique(frames.identifier)) > 10


def test_a_suspended_sender_falls_silent_and_the_next_frame_tells(benign):
    frames = inject(benign, ["suspension"], targets={"suspension": int(benign.identifier[0])})
    silent = frames.timestamp[frames.identifier == benign.identifier[0]]
    assert np.diff(silent).max() > 2.9
    assert len(frames) == len(benign) - (frames.attack == Attack.SUSPENSION).sum()


def test_a_masquerade_takes_the_place_of_the_frames_it_forges(benign):
    frames = inject(benign, ["masquerade"])
    assert len(frames) == len(benign)
    forged = frames.attack == Attack.MASQUERADE
    assert np.array_equal(frames.timestamp, benign.timestamp)
    assert np.array_equal(frames.identifier, benign.identifier)
    assert (frames.data[forged] != benign.data[forged]).any(axis=1).all()
    assert np.array_equal(frames.data[~forged], benign.data[~forged])


def test_injected_stamps_look_like_the_others(benign):
    """Neither a regular beat nor a fraction of microseconds gives them away."""
    frames = inject(benign, ["dos"])
    stamps = frames.timestamp[frames.attack == Attack.DOS]
    assert np.array_equal(stamps, np.round(stamps, 6))
    gaps = np.diff(stamps)
    assert gaps[gaps < 1].std() > 0.2 * gaps[gaps < 1].mean()


@pytest.mark.parametrize("clock", ["none", "whole seconds"])
def test_captures_without_a_usable_clock_are_attacked_by_count(benign, clock):
    plain = benign[:]
    plain = Frames(
        **{
            **vars(plain),
            "timestamp": np.floor(plain.timestamp) if clock != "none" else plain.timestamp * np.nan,
        }
    )
    frames = inject(plain, ["dos", "fuzzing"])
    assert (frames.attack == Attack.DOS).sum() > 1000
    assert np.array_equal(frames.timestamp[frames.attack == 0], plain.timestamp, equal_nan=True)
    if clock == "none":
        assert np.isnan(frames.timestamp).all()
    else:
        assert (np.diff(frames.timestamp) >= 0).all()


def test_every_kind_has_its_turn_in_a_short_capture():
    frames = generate(seconds=3, attacks=list(ATTACKS))
    assert set(frames.attack.tolist()) >= {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": []}, "some of dos"),
        ({"kinds": ["dos"], "shares": {"dos": 1.0}}, "between 0 and 1, not 1.0"),
        ({"kinds": ["spoofing"], "targets": {"spoofing": 0x7FE}}, "send nothing in the capture.*0x7fe"),
    ],
)
def test_wrong_wishes_are_explained(benign, options, message):
    with pytest.raises(ValueError, match=message):
        inject(benign, **options)


def test_too_little_traffic_is_explained(benign):
    with pytest.raises(ValueError, match="at least 100 benign frames, not 5"):
        inject(benign[:5], ["dos"])
