"""The build cache: right content, built once, and nothing half-built that anyone trusts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hw.flow.cache import BuildCache, content_key

ROOT = Path(__file__).parents[3]


def fill(folder):
    (folder / "result").write_text("whole")


def test_a_build_is_made_once(tmp_path):
    cache = BuildCache(tmp_path)
    first, second = cache.get("key", fill), cache.get("key", pytest.fail)
    assert first.fresh
    assert not second.fresh
    assert second.path == first.path
    assert (first.path / "result").read_text() == "whole"
    assert str(first).startswith("built in")
    assert str(second) == "reused"


def test_every_part_counts_in_a_key():
    keys = {content_key(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["ab", "c", ""])}
    assert len(keys) == 4
    assert content_key(["ab", b"c"]) == content_key(["ab", "c"])


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(folder):
        fill(folder)
        raise RuntimeError("no compiler")

    cache = BuildCache(tmp_path)
    with pytest.raises(RuntimeError, match="no compiler"):
        cache.get("key", fail)
    assert list(tmp_path.glob("key*")) == [tmp_path / "key.lock"]
    assert cache.get("key", fill).fresh


def test_what_a_dead_builder_left_is_swept_and_what_a_living_one_has_is_not(tmp_path):
    cache = BuildCache(tmp_path)
    dead, living = tmp_path / "dead.x.partial", tmp_path / "living.x.partial"
    dead.mkdir()
    living.mkdir()
    with cache._locked("living"):
        cache.get("key", fill)
    assert not dead.exists()
    assert living.exists()


def test_two_processes_build_once(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from hw.flow.cache import BuildCache\n"
        "def build(folder): time.sleep(0.5)\n"
        f"print(BuildCache(Path({str(tmp_path)!r})).get('key', build).fresh)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sorted(run.communicate()[0].strip() for run in runs) == ["False", "True"]


def test_a_killed_build_is_never_trusted(tmp_path):
    """The real thing: Verilator and g++ are killed at work, and the next run builds and works."""
    program = tmp_path / "load.py"
    program.write_text(
        "from pynq import Overlay\n"
        "from hw.overlay.package import package\n"
        "from sim.board import simulated_board\n"
        "from hw.overlay.base import Overlay as Gateware\n"
        "class Tiny(Gateware):\n"
        "    def __init__(self): super().__init__(name='tiny', version=(1, 0))\n"
        "    def build(self, m, shell): pass\n"
        "with simulated_board(Tiny()) as board:\n"
        "    print(hex(Overlay(board.bitfile).tiny.read(0)), board.builds)\n"
    )
    cache = tmp_path / "cache"
    environment = os.environ | {"COLONNADE_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", str(program)]

    run = subprocess.Popen(command, env=environment, start_new_session=True)
    while not list(cache.glob("*.partial/harness.cpp")):  # the overlay itself is being built
        assert run.poll() is None
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert list(cache.glob("*.partial"))

    outputs = [
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    ]
    assert "0x434f4c4e" in outputs[0]
    assert "built in" in outputs[0]
    assert "reused" in outputs[1]
    assert not list(cache.glob("*.partial"))
