"""Fixtures that tests of several folders use."""

from sim.pytest_fixture import make_board

__all__ = ["make_board"]
