"""Fixtures that tests of several folders use."""

from sim.board.pytest_fixture import make_board

__all__ = ["make_board"]
