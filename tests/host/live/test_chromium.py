"""Finding a browser, and what is said where there is none or something else."""

from pathlib import Path

import pytest

from host.live.chromium import Browser, BrowserError, find_browser, photograph


@pytest.fixture
def nothing(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("COLONNADE_BROWSER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    return path


def test_the_named_one_comes_before_the_path_and_that_before_the_fetched_one(nothing, monkeypatch):
    assert find_browser() is None
    fetched = program(nothing / "build" / "browser" / "chromium")
    assert find_browser(root=nothing) == fetched
    found = program(nothing / "bin" / "chromium")
    assert find_browser() == found
    monkeypatch.setenv("COLONNADE_BROWSER", "/else/where")
    assert find_browser() == Path("/else/where")


def test_without_one_a_photograph_says_what_to_do(nothing):
    with pytest.raises(BrowserError, match="make test-page fetch one"):
        photograph("http://127.0.0.1:1/", nothing / "page.png")


def test_a_program_that_is_no_browser_is_said_to_be_none(nothing):
    with (
        pytest.raises(BrowserError, match=r"does not answer Target.createTarget.*COLONNADE_BROWSER"),
        Browser(program(nothing / "nonsense"), patience_s=5),
    ):
        pass
