"""What stands in for Linux's UIO driver beneath pynq's own Interrupt: waiting is what lets time go by.

While a coroutine waits, a callback in its event loop runs the clock in slices until the overlay's interrupt
output rises. Other coroutines run between the slices, time limits of asyncio work, and the cycle at which a
waiter wakes is the same in every run.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

from hw.overlay.hwh import Flavour
from sim.board.board import Board
from sim.board.errors import BoardError

__all__ = ["SLICE_CYCLES", "uio_replacements"]

SLICE_CYCLES = 4096
#: The one line that the device trees of PYNQ images give to UIO, as Linux counts.
FABRIC_IRQ = {Flavour.ZYNQMP: 121, Flavour.ZYNQ7000: 61}


class _UioController:
    """Same face as pynq.uio.UioController."""

    def __init__(self, board: Board):
        self._board = board
        self._events: list[Any] = []
        self._armed = False
        with warnings.catch_warnings():
            # pynq asks for the loop in the same way, outside of any coroutine.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._loop = asyncio.get_event_loop()

    def add_event(self, event: Any, _number: int) -> None:
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "this interrupt belongs to the event loop that was current when the overlay's IP was first "
                "touched, and another one is running; on a board this wait would never return. Create the "
                "Overlay inside the coroutine given to asyncio.run(), or use one loop's run_until_complete()"
            )
        self._events.append(event)
        self._arm()

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._armed = False
        if not self._events or not self._board.is_loaded:
            return
        try:
            if self._board.run_until_interrupt(SLICE_CYCLES):
                events, self._events = self._events, []
                for event in events:
                    event.set()  # pynq's controller reads its registers in here, and may wait again
        except BoardError as error:
            # The loop would only log it; the waiters are woken, and meet it at their next access.
            self._board.fail_next_access(error)
            events, self._events = self._events, []
            for event in events:
                _wake(event)
        if self._events:
            self._arm()


def _wake(event: Any) -> None:
    """Wake whoever waits, past the interrupt controller that cannot be read any more."""
    for handles in getattr(event, "wait_handles", ()):
        for waiter in handles:
            waiter.set()
        handles.clear()
    if hasattr(event, "wait_handles"):
        event.event_number = 0
    else:
        event.set()


def uio_replacements(board: Board) -> dict[str, Any]:
    """The two names of pynq.interrupt that a simulated board replaces."""

    def get_uio_irq(irq: int) -> str | None:
        return "simulated fabric" if irq == FABRIC_IRQ[board.flavour] else None

    return {"get_uio_irq": get_uio_irq, "UioController": lambda _device: _UioController(board)}
