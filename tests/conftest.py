"""Fixtures that tests of several folders use."""

import signal

from sim.pytest_fixture import make_board

__all__ = ["make_board"]

# A shell starts background jobs with Ctrl-C ignored, and children inherit that; tests of Ctrl-C need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
