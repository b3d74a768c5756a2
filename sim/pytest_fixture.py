"""The simulated board as a pytest fixture, for a conftest to import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

__all__ = ["make_board"]


@pytest.fixture
def make_board() -> Iterator[Callable[..., Any]]:
    """`make_board("copy", memory=...)` installs a board until the test ends, as `simulated_board` does."""
    from sim.board import simulated_board  # pynq takes a second to import, and most tests need none

    with ExitStack() as stack:
        yield lambda *overlays, **options: stack.enter_context(simulated_board(*overlays, **options))
