import pytest

from scripts.tile_detector import parse_run


def test_a_run_names_preset_side_and_pictures():
    assert parse_run("z7020:512:2") == ("z7020", 512, 2)


@pytest.mark.parametrize("text", ["z7020", "z7020:512", "z7020:512:0", "z7020:half:2", "a:1:2:3"])
def test_other_runs_are_refused(text):
    with pytest.raises(ValueError, match="a run is PRESET:SIDE:PICTURES such as z7020:512:2, not"):
        parse_run(text)
