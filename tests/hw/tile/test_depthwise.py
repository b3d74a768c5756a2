import numpy as np
import pytest

from hw.arith.shift_lane import ShiftArray
from hw.tile.depthwise import is_windowed, plane_of, window_codes, window_cycles
from hw.tile.operands import Operands
from hw.tile.preset import preset

SIM, LARGE = preset("sim"), preset("z7020")


@pytest.mark.parametrize(
    ("changes", "stride", "windowed"),
    [
        ({}, (1, 1), True),
        ({"count": 3}, (2, 2), True),
        ({"channels": 13, "planes": 2}, (1, 1), True),
        ({"kernel": (2, 3)}, (3, 3), False),  # as many words for each pixel as tap by tap
        ({"kernel": (2, 3), "count": 2}, (3, 3), True),
        ({"kernel": (3, 1)}, (1, 2), False),  # columns between windows that nobody needs
        ({"kernel": (3, 5)}, (1, 1), False),  # more taps than a window has words
        ({"kernel": (1, 1), "count": 3}, (1, 1), False),
        ({"planes": 2, "shift": 3}, (1, 1), False),  # channels that lie in other lanes
        ({"planes": 3, "shift": 8}, (1, 1), True),
    ],
)
def test_what_is_windowed(depthwise_digits, changes, stride, windowed):
    assert is_windowed(depthwise_digits(**changes), stride, SIM) is windowed


def test_an_output_that_sees_another_channel_is_not(depthwise_digits):
    digits = depthwise_digits(channels=16, planes=2)
    digits[0, 9, 8, 1, 1] = 1
    assert not is_windowed(digits, (1, 1), SIM)


def test_a_group_reads_the_one_plane_that_it_sees(depthwise_digits):
    assert plane_of(depthwise_digits(planes=3, shift=16), SIM) == 2
    assert plane_of(depthwise_digits(planes=2, shift=4), SIM) is None
    assert plane_of(np.zeros((1, 8, 24, 3, 3), int), SIM) == 0


@pytest.mark.parametrize(("engine", "beats"), [(SIM, 2), (LARGE, 1)])
@pytest.mark.parametrize("kernel", [(3, 3), (2, 3), (3, 1)])
def test_words_and_operands_make_the_convolution(engine, beats, kernel):
    """The array's golden twin on the operands' golden twin, beside the taps one by one."""
    rng = np.random.default_rng(3)
    lanes, plane = engine.channels, 1
    outputs, taps = lanes - 3, kernel[0] * kernel[1]
    digits = np.zeros((2, outputs, 2 * lanes, *kernel), np.int64)
    own = rng.choice([0, 1, -1, 2, -2, 4, -4], (2, outputs, *kernel))
    digits[:, np.arange(outputs), plane * lanes + np.arange(outputs)] = own
    image = rng.integers(0, 256, (*kernel, lanes))
    read = [image[y, x] for x in range(kernel[1]) for y in range(kernel[0])]  # column by column
    before = [rng.integers(0, 256, lanes) for _ in range(9 - taps)]
    window = np.array([*before, *read])[::-1]
    words = window_codes(digits, plane, engine)
    passes = beats if taps > lanes else 1
    assert words.shape == (2 * passes, lanes, lanes)
    value = np.array([0, 1, 2, 4, 0, -1, -2, -4])[words]
    for digit in range(2):
        total = np.zeros(lanes, int)
        for half in range(passes):
            x = Operands.compute(window, windowed=True, upper=half == 1)
            weights = value[digit * passes + half]
            negative = (words[digit * passes + half] >= 4).sum(axis=1)
            total += ShiftArray.compute(x[None], weights)[0] - 1023 * negative
        wanted = np.einsum("oyx,yxo->o", own[digit], image[:, :, :outputs])
        assert total[:outputs].tolist() == wanted.tolist()
        assert not total[outputs:].any()


def test_cycles_are_the_most_of_words_beats_and_results():
    assert window_cycles(1, (3, 3), (1, 1), LARGE) == (9, 4)  # four pixel lanes of results
    assert window_cycles(3, (3, 3), (2, 2), LARGE) == (9, 6)  # six words
    assert window_cycles(5, (3, 3), (1, 1), LARGE) == (9, 5)  # five digits
    assert window_cycles(5, (3, 3), (1, 1), SIM) == (10, 10)  # five digits of two beats
