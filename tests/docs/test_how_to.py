"""Pages that tell how to do something: their examples run, and are shown as they are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "how_to"
PAGES = sorted(FOLDER.glob("*.md"))
EXAMPLES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".py", ".sh"))
#: Settings that make an example quick; what it shows stays the same.
CHEAP = {"own_car.sh": {"SECONDS_DRIVEN": "20", "STEPS": "60"}}
#: Blocks behind a comment: of a file, or of what running it prints.
BLOCK = re.compile(r"<!-- (output of )?([\w.]+) -->\n```\w*\n(.*?)```", re.DOTALL)


def lines(text: str) -> list[str]:
    """Without what pages may break differently: empty lines, and blanks at the end of one."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What an example prints, run once, in a folder of its own, as a reader would."""
    done: dict[str, str] = {}

    def run(name: str) -> str:
        if name not in done:
            program = [sys.executable, str(FOLDER / name)] if name.endswith(".py") else ["bash", "-e"]
            program += [] if name.endswith(".py") else [str(FOLDER / name)]
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            changes = {"PYTHONPATH": str(ROOT), "PATH": path, **CHEAP.get(name, {})}
            result = subprocess.run(
                program,
                cwd=tmp_path_factory.mktemp("example"),
                env=os.environ | changes,
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
            done[name] = result.stdout
        return done[name]

    return run


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_shown_whole_and_as_it_is(example):
    shown = [
        (page, text)
        for page in PAGES
        for output, name, text in BLOCK.findall(page.read_text())
        if name == example.name and not output
    ]
    assert len({page for page, _ in shown}) == 1, f"one page must show {example.name}"
    together = [line for _, text in shown for line in lines(text)]
    assert together == lines(example.read_text()), f"{shown[0][0].name} and {example.name} differ"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_page_shows_no_file_that_is_not_there_and_its_links_lead_somewhere(page):
    text = page.read_text()
    assert {name for _, name, _ in BLOCK.findall(text)} <= {path.name for path in EXAMPLES}
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert (FOLDER / target).is_file(), f"{page.name} links to {target}"
    for path in re.findall(r"`((?:hw|host|models|sim|tests|docs|scripts)/[\w./]*\w/?)`", text):
        named = path == "hw/boards/pynq_z1.py"  # what the reader is to write
        assert named or (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(printed, example):
    assert printed(example.name).strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_says_an_example_prints_it_prints(printed, page):
    for output, name, text in BLOCK.findall(page.read_text()):
        if output:
            assert "\n".join(lines(text)) in "\n".join(lines(printed(name)))


def test_the_check_notices_a_page_that_has_gone_stale():
    page = (FOLDER / "read_a_failure_waveform.md").read_text()
    ((_, _, text), *_) = BLOCK.findall(page)
    assert lines(text) != lines(text.replace("SkidBuffer", "Fifo"))
