"""What every verb's help promises."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.main import VERBS, app

ROOT = Path(__file__).parents[2]


def test_without_a_verb_all_are_listed():
    said = CliRunner().invoke(app, []).output
    assert all(f" {verb} " in said for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_an_example_of_itself_whose_files_exist(verb):
    told = " ".join(import_module(f"scripts.{verb}").command.__doc__.split())
    examples = re.findall(r"`(colonnade [^`]+)`", told.partition("Example")[2])
    assert examples, told
    assert all(example.split()[1] == verb for example in examples)
    for path in re.findall(r"(?:models|docs|hw|host)/\S+", " ".join(examples)):
        assert (ROOT / path).exists() or (ROOT / path).parent.is_dir(), path
