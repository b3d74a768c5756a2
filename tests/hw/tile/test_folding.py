import numpy as np
import pytest

from hw.tile.folding import folded, folding_of
from hw.tile.loader import Loader
from hw.tile.preset import PRESETS, preset

SIM, LARGE = preset("sim"), preset("z7020")


@pytest.fixture
def digits_of():
    """Digits of the lowest `channels` of `lanes` lanes."""

    def make(channels, kernel, *, lanes, count=1, outputs=4):
        rng = np.random.default_rng(channels)
        digits = np.zeros((count, outputs, lanes, *kernel), np.int64)
        digits[:, :, :channels] = rng.choice([1, -1, 2, -2, 4, -4], (count, outputs, channels, *kernel))
        return digits

    return make


@pytest.mark.parametrize("engine", PRESETS.values(), ids=PRESETS)
def test_an_instruction_can_name_each_size_and_every_size_leaves_room_for_two(engine):
    assert len(engine.fold_bytes) < 4
    assert all(2 * size <= engine.channels for size in engine.fold_bytes)


@pytest.mark.parametrize(
    ("engine", "channels", "kernel", "size", "words"),
    [
        (LARGE, 3, (3, 3), 4, 1),  # four pixels are as many words as five, and one column fewer
        (LARGE, 3, (7, 7), 4, 2),
        (LARGE, 3, (5, 5), 3, 1),
        (LARGE, 4, (5, 5), 4, 2),
        (LARGE, 5, (3, 3), 8, 2),
        (LARGE, 8, (2, 2), 16, 2),  # two words a sum instead of four, but four pixel lanes leave one by one
        (LARGE, 8, (3, 2), 8, 1),
        (LARGE, 9, (3, 3), 16, 3),
        (LARGE, 3, (3, 1), 16, 1),
        (SIM, 3, (3, 3), 4, 2),
        (SIM, 2, (3, 3), 2, 1),
        (SIM, 3, (7, 7), 4, 4),
        (SIM, 5, (3, 3), 8, 3),
    ],
)
def test_the_fewest_words_that_save_cycles(digits_of, engine, channels, kernel, size, words):
    fold = folding_of(digits_of(channels, kernel, lanes=engine.channels), kernel, 1, engine)
    assert (fold.bytes, fold.words) == (size, words)
    assert (engine.channels, *engine.fold_bytes)[fold.code] == size
    assert fold.reach >= kernel[1]


def test_neither_maxima_nor_several_planes_are_folded(digits_of):
    digits = digits_of(3, (3, 3), lanes=8)
    assert folding_of(digits, (3, 3), 1, SIM).code
    assert not folding_of(None, (3, 3), 1, SIM).code
    assert not folding_of(digits_of(3, (3, 3), lanes=16), (3, 3), 2, SIM).code


def test_weights_that_are_all_zero_are_folded_too(digits_of):
    assert folding_of(0 * digits_of(8, (3, 3), lanes=16), (3, 3), 1, LARGE).words == 1


def test_words_hold_the_low_bytes_of_the_pixels_from_their_column_on():
    row = np.arange(7 * 8, dtype=np.uint8).reshape(7, 8)
    assert Loader.folded(row, 2).tolist() == [
        [8 * (x + n) + byte for n in range(4) for byte in range(2)] for x in range(4)
    ]
    assert Loader.folded(row, 4)[5].tolist() == [40, 41, 42, 43, 48, 49, 50, 51]
    assert Loader.folded(row[:3], 2).shape == (0, 8)


@pytest.mark.parametrize(
    ("engine", "channels"), [(SIM, n) for n in range(1, 5)] + [(LARGE, n) for n in range(1, 9)]
)
@pytest.mark.parametrize("kernel", [(3, 2), (3, 3), (4, 5), (2, 7)])
def test_folded_digits_of_folded_words_make_the_convolution(digits_of, engine, channels, kernel):
    """Beside the taps one by one, at each column of a row of words."""
    lanes = engine.channels
    digits = digits_of(channels, kernel, lanes=lanes, count=2)
    fold = folding_of(digits, kernel, 1, engine)
    assert fold.code
    image = np.random.default_rng(1).integers(0, 256, (kernel[0], fold.reach + 5, lanes))
    words = np.stack([Loader.folded(row, fold.bytes) for row in image])
    weights = folded(digits, fold, lanes).reshape(2, 4, fold.words, lanes, kernel[0])
    for x in range(5):
        found = sum(
            weights[:, :, block, :, y] @ words[y, x + block * fold.pixels]
            for block in range(fold.words)
            for y in range(kernel[0])
        )
        seen = image[:, x : x + kernel[1]]
        assert (found == np.einsum("doiyx,yxi->do", digits, seen)).all()
