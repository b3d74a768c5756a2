import pytest

from hw.flow.area_check import check_area
from hw.flow.cache import BuildCache
from hw.flow.resource_table import FAMILIES, Row, largest_error, markdown, measure
from hw.flow.tools import FlowError
from hw.flow.unit_catalog import Unit, all_units
from hw.resources import Area
from hw.stream.skid_buffer import SkidBuffer


def area(lut):
    return Area(lut=lut, lutram=0, ff=7, ramb36=0.5, dsp=0, carry=0)


def row(name, lut, estimate=None, **others):
    return Row(
        name=name, group="g", areas=dict.fromkeys(FAMILIES, area(lut)), estimate_lut=estimate, **others
    )


def test_a_unit_is_measured_once(tmp_path, monkeypatch):
    unit = Unit(name="skid", make=lambda: SkidBuffer(shape=8), group="units")
    cache = BuildCache(tmp_path)
    first = measure(unit, cache=cache, build_folder=tmp_path)
    # 8 bits and a valid flag, twice.
    assert {family: taken.ff for family, taken in first.areas.items()} == dict.fromkeys(FAMILIES, 18)
    assert all(8 <= taken.lut <= 16 for taken in first.areas.values())
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("hw.resources.cells", lambda *_: pytest.fail("it was synthesised again"))
    assert measure(unit, cache=cache, build_folder=tmp_path) == first


def test_the_largest_error_is_of_either_sign_and_leaves_out_what_has_no_estimate():
    rows = [row("a", 100, 90), row("b", 100, 112), row("c", 50)]
    assert largest_error(rows) == pytest.approx(0.12)
    assert largest_error([*rows, row("d", 100, 80)]) == pytest.approx(0.2)
    assert largest_error([row("c", 50)]) is None


def test_a_design_without_its_weights_is_refused():
    check_area("net", synthesised=65, estimated=100)
    with pytest.raises(FlowError, match=r"net: 55 look-up tables .* about 100 .* lost its weights"):
        check_area("net", synthesised=55, estimated=100)


def test_the_table_names_groups_peers_and_paths():
    text = markdown(
        [row("a", 1234, 1300, peer="X: 9 LUT"), row("b", 5, fmax_mhz=99.96, critical_path=("p", "q"))]
    )
    assert text.count("**g**") == 1
    assert "| a | 1,234 | 7 | 0.5 | 0 | 1,234 | 1,234 |  | 1,300 | +5.3% |" in text
    assert "| b | 5 | 7 | 0.5 | 0 | 5 | 5 | 100.0 |  |  |" in text
    assert "- a: X: 9 LUT." in text
    assert "- b: slowest path p -> q." in text


def test_every_unit_has_a_name_of_its_own():
    names = [unit.name for unit in all_units()]
    assert len(set(names)) == len(names)
    assert {"overlay copy", "overlay ids", "ours, judge", "published, judge"} <= set(names)
