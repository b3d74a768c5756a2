"""`colonnade tile`: what a trial keeps, and what a wrong name is told."""

import pytest
from typer.testing import CliRunner

from scripts import tile
from scripts.main import app


@pytest.fixture
def kept(monkeypatch):
    """Figures by report, instead of files."""
    reports: dict[str, dict] = {}
    monkeypatch.setattr(tile, "record", lambda name, figures: reports.setdefault(name, figures))
    return reports


def test_an_engine_that_is_not_there_is_named():
    result = CliRunner().invoke(app, ["tile", "--engine", "nope"])
    assert result.exit_code == 2
    assert "there is no engine preset 'nope'; use one of sim" in " ".join(result.output.split())


def test_a_trial_does_not_replace_what_a_campaign_found(kept, monkeypatch):
    tried = []

    class Right:
        def __init__(self, *, preset):
            tried.append(preset.ports)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def check_seed(self, seed, *, network):
            return "", int(network and seed == 3)

    monkeypatch.setattr("sim.campaigns.tile.TileBench", Right)
    trial = CliRunner().invoke(app, ["tile", "--layers", "3", "--networks", "5", "--no-use"])
    assert trial.exit_code == 1
    assert "3 layers and 5 networks, 1 of them with a wrong element" in trial.output
    assert not kept
    assert CliRunner().invoke(app, ["tile", "--no-use"]).exit_code == 1
    assert kept["tile"] == {"tile.layers": 500, "tile.networks": 100, "tile.mismatches": 1}
    assert tried == [1, 1]
    kept.clear()
    other = CliRunner().invoke(app, ["tile", "--no-use", "--ports", "2"])
    assert other.exit_code == 1
    assert "tile.mismatches" in other.output, "it is shown, and yet not recorded"
    assert (kept, tried[2:]) == ({}, [2])
