"""Training batches: right labels, frames that were neighbours, attacks where they belong."""

import numpy as np
import pytest

from models.can_ids.features import Encoding
from models.can_ids.frames import Attack, Frames
from models.can_ids.sampling import Sampler, Sampling

BENIGN_IDS = (0x100, 0x200, 0x300)


def block(rows: int = 600, start: int = 0) -> Frames:
    """Benign frames whose payload counts rows, and a few attack frames of each kind among them."""
    frames = Frames.zeros(rows)
    frames.identifier[:] = np.array(BENIGN_IDS)[np.arange(rows) % 3]
    counter = np.arange(start, start + rows)
    frames.data[:, 0], frames.data[:, 1] = counter >> 8, counter & 255
    for kind, identifier in ((Attack.DOS, 0), (Attack.FUZZING, 0x7A5), (Attack.SPOOFING, 0x200)):
        own = slice(50 * kind, 50 * kind + 10)
        frames.attack[own], frames.identifier[own] = kind, identifier
        frames.data[own] = 0xEE
    return frames


def decoded(windows: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Identifiers and the counters in the payloads of byte-encoded windows."""
    octets = windows.reshape(len(windows), window, 10).astype(np.int64) + 128
    return octets[..., 0] * 256 + octets[..., 1], octets[..., 2] * 256 + octets[..., 3]


def plain(**options) -> Sampling:
    return Sampling(**{"batch": 512, "flipped_bits": 0, "fuzzing_known": 0, "fuzzing_near": 0} | options)


def test_benign_frames_of_a_window_were_neighbours_in_one_block():
    sampler = Sampler(
        [(block(), 1.0), (block(start=10_000), 1.0)], Encoding(kind="bytes", window=4), plain(per_frame=False)
    )
    windows, classes = sampler.batch(seed=5, step=0)
    identifiers, counters = decoded(windows[classes == Attack.BENIGN], 4)
    assert len(identifiers) > 100
    assert np.isin(identifiers, BENIGN_IDS).all()
    steps = np.diff(counters, axis=1)
    # Removing the ten attack frames of a kind leaves gaps of eleven, and blocks are never crossed.
    assert set(np.unique(steps)) <= {1, 11}


@pytest.mark.parametrize("per_frame", [True, False])
def test_labels_follow_the_injected_frames(per_frame):
    sampler = Sampler([(block(), 1.0)], Encoding(kind="bytes", window=4), plain(per_frame=per_frame))
    windows, classes = sampler.batch(seed=6, step=3)
    identifiers, counters = decoded(windows, 4)
    for kind in (Attack.DOS, Attack.SPOOFING):
        injected = (counters == 0xEEEE) & (identifiers == (0 if kind == Attack.DOS else 0x200))
        seen = injected[:, -1] if per_frame else injected.any(axis=1)
        assert seen.any()
        assert (classes[seen] == kind).all()
        assert not (classes[~seen] == kind).any()


def test_fuzzing_is_made_harder_as_asked():
    sampling = plain(batch=4096, mixture={Attack.FUZZING: 1}, fuzzing_known=0.5, fuzzing_near=0.25)
    sampler = Sampler([(block(), 1.0)], Encoding(kind="bytes", window=1), sampling)
    identifiers, _ = decoded(sampler.batch(seed=7, step=0)[0], 1)
    known = np.isin(identifiers, BENIGN_IDS)
    distance = np.min(
        [[bin(one ^ int(other)).count("1") for other in BENIGN_IDS] for one in identifiers[:, 0].tolist()],
        axis=1,
    )
    assert known.mean() == pytest.approx(0.5, abs=0.04)
    assert (distance == 1).mean() == pytest.approx(0.25, abs=0.04)


def test_flips_touch_benign_payloads_and_nothing_else():
    rows = block()
    sampling = plain(flipped_bits=3, mixture={Attack.BENIGN: 1})
    windows, _ = Sampler([(rows, 1.0)], Encoding(kind="bits", window=1), sampling).batch(seed=8, step=0)
    known = Encoding(kind="bits", window=1).windows(rows[rows.attack == Attack.BENIGN])
    distance = (windows[:, None] != known).sum(axis=2).min(axis=1)
    assert 0 < distance.max() <= 3
    identifiers = windows[:, :11] @ (1 << np.arange(10, -1, -1))
    assert np.isin(identifiers, BENIGN_IDS).all()


def test_a_batch_depends_on_seed_and_step_alone():
    encoding = Encoding(kind="bits", window=2)
    first, second = (Sampler([(block(), 1.0)], encoding, Sampling(batch=64)) for _ in range(2))
    first.batch(seed=1, step=0)
    for one, other in zip(first.batch(seed=1, step=9), second.batch(seed=1, step=9), strict=True):
        assert one.tolist() == other.tolist()
    assert first.batch(seed=2, step=9)[0].tolist() != second.batch(seed=1, step=9)[0].tolist()


def test_blocks_without_a_class_of_the_mixture_are_refused():
    rows = block()
    with pytest.raises(ValueError, match="no attack of class SPOOFING"):
        Sampler([(rows[rows.attack != Attack.SPOOFING], 1.0)], Encoding(kind="bits", window=1), Sampling())


def test_replaced_bytes_touch_one_byte_of_the_share_asked_for():
    rows = block()
    sampling = plain(batch=2048, replaced_bytes=0.5, mixture={Attack.BENIGN: 1})
    windows, _ = Sampler([(rows, 1.0)], Encoding(kind="bytes", window=1), sampling).batch(seed=9, step=0)
    known = Encoding(kind="bytes", window=1).windows(rows[rows.attack == Attack.BENIGN])
    distance = (windows[:, None] != known).sum(axis=2).min(axis=1)
    assert distance.max() == 1
    # A replaced counter may look like another row's, and one value in 256 is the old one.
    assert 0.3 < (distance == 1).mean() < 0.5


def test_injected_frames_come_between_benign_ones_and_replace_none():
    sampling = plain(mixture={Attack.DOS: 1}, single=1.0)
    windows, _ = Sampler([(block(), 1.0)], Encoding(kind="bytes", window=4), sampling).batch(seed=10, step=0)
    _, counters = decoded(windows, 4)
    benign = [[one for one in row if one != 0xEEEE] for row in counters.tolist()]
    assert all(len(row) == 3 for row in benign)
    assert set(np.unique(np.diff(benign, axis=1))) <= {1, 11}
