"""`colonnade resources` and `bundle` when something is wrong: a line, a status, and no half of anything."""

import errno

import pytest
import typer
from typer.testing import CliRunner

from hw.flow import bundle as packing
from hw.flow import products, resource_table, unit_catalog
from hw.flow.resource_table import FAMILIES, Row
from hw.resources import Area
from hw.stream.skid_buffer import SkidBuffer
from scripts import bundle, resources

FULL = OSError(errno.ENOSPC, "No space left on device")


def invoke(command, *options):
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, options)
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The command with one unit that is measured at once, and a page of an earlier run."""
    area = Area(lut=10, lutram=0, ff=7, ramb36=0, dsp=0, carry=0)
    row = Row(name="skid", group="units", areas=dict.fromkeys(FAMILIES, area))
    unit = unit_catalog.Unit(name="skid", make=lambda: SkidBuffer(shape=8), group="units")
    monkeypatch.setattr(unit_catalog, "all_units", lambda: [unit])
    monkeypatch.setattr(resource_table, "measure", lambda *_, **__: row)
    monkeypatch.setattr("scripts.figures.REPORTS", tmp_path / "reports")
    page = tmp_path / "docs" / "resources.md"
    monkeypatch.setattr(resources, "TABLE", page)
    page.parent.mkdir()
    page.write_text("of an earlier run")
    return page


def test_a_measurement_is_written_to_page_and_report(table, tmp_path):
    result = invoke(resources.command)
    assert result.exit_code == 0, result.output
    assert "| skid | 10 | 7 |" in table.read_text()
    assert '"name": "skid"' in (tmp_path / "resources.json").read_text()


@pytest.mark.parametrize(
    ("raised", "status", "complaint"),
    [(KeyboardInterrupt(), 130, "interrupted: nothing was written"), (FULL, 1, "No space left on device")],
)
def test_a_measurement_that_ends_early_changes_no_page(table, monkeypatch, raised, status, complaint):
    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(resource_table, "measure", fail)
    result = invoke(resources.command)
    assert result.exit_code == status
    assert complaint in result.output
    assert table.read_text() == "of an earlier run"


def test_a_full_disk_leaves_no_half_of_a_page(table, monkeypatch):
    def fail(*_):
        raise FULL

    monkeypatch.setattr(products, "_write_whole", fail)
    result = invoke(resources.command)
    assert result.exit_code == 1
    assert "no space left on the disk" in result.output
    assert not list(table.parent.glob(".*"))


def test_a_unit_that_is_not_there_is_named(table):
    result = invoke(resources.command, "--only", "skit")
    assert result.exit_code == 1
    assert "no unit has 'skit' in its name" in result.output


@pytest.mark.parametrize(
    ("raised", "status", "complaint"),
    [(KeyboardInterrupt(), 130, "interrupted: no bundle was made"), (FULL, 1, "no space left on the disk")],
)
def test_a_bundle_is_whole_or_not_there(tmp_path, monkeypatch, raised, status, complaint):
    def fail(*_):
        raise raised

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packing, "_overlay_files", lambda *_: {})
    monkeypatch.setattr(packing, "_host_wheel", lambda: ("colonnade_host.whl", b"wheel"))
    monkeypatch.setattr(products, "_write_whole", fail)
    result = invoke(bundle.command, "--board", "zcu104", "--simulation")
    assert result.exit_code == status
    assert complaint in result.output
    assert not list(tmp_path.rglob("*.tar.gz"))


def test_a_bundle_for_a_board_that_is_not_there_names_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke(bundle.command, "--board", "zcu105", "--simulation")
    assert result.exit_code == 1
    assert "there is no board 'zcu105'" in result.output
