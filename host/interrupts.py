"""The event loop that interrupts belong to: one a process, whoever opens how many boards in it.

pynq binds an interrupt to the event loop that is current where a driver is first made, and keeps that for the
life of the process, also over the next download of a bitstream. Had each board its own loop, the second one
would wait for ever.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

__all__ = ["interrupt_loop", "made_on_the_loop"]


@cache
def interrupt_loop() -> asyncio.AbstractEventLoop:
    """To wait on, in whichever thread waits; one at a time."""
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def made_on_the_loop(make: Callable[[], Any]) -> Any:
    """What `make` gives, called in a thread where the loop is current, as it could not be in a notebook."""

    def make_there() -> Any:
        asyncio.set_event_loop(interrupt_loop())
        return make()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(make_there).result()
