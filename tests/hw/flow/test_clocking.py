import pytest

from hw.flow.clocking import pll_setting


@pytest.mark.parametrize(
    ("mhz", "reference", "feedback", "output"),
    [(100, 1, 4, 6), (50, 1, 2, 12), (125, 1, 5, 5), (62.5, 2, 5, 10), (87.5, 2, 7, 7)],
)
def test_divisors_make_the_clock_exactly(mhz, reference, feedback, output):
    setting = pll_setting(mhz)
    assert (setting.reference, setting.feedback, setting.output) == (reference, feedback, output)
    assert setting.mhz == mhz
    assert 400 <= setting.vco_mhz <= 800


def test_a_clock_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match=r"clock_mhz 101\.3 cannot be made from 25 MHz"):
        pll_setting(101.3)
