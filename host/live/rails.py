"""The power of a board's rail at this moment, where it has one."""

from __future__ import annotations

import os
import warnings
from typing import Any

from host.power import BOARD_VARIABLE, choose_rail

__all__ = ["PowerMonitor"]


class PowerMonitor:
    """Reads one rail at each `snapshot`; `reason` says why there is none."""

    def __init__(self, *, rail: str | None = None):
        self.reason = ""
        self._name, self._sensor = "", None
        board = os.environ.get(BOARD_VARIABLE)
        if not board:
            self.reason = "this is no board with power rails"
            return
        try:
            import pynq
        except ImportError:
            self.reason = "pynq is not installed"
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no libsensors, which is said below
            rails = pynq.get_rails()
        self._name = choose_rail(rails, rail)
        if not self._name:
            self.reason = f"pynq finds no rail with a power sensor on {board}"
            return
        self._sensor = rails[self._name].power

    def snapshot(self) -> dict[str, Any]:
        if self._sensor is None:
            return {"watts": None, "rail": "", "reason": self.reason}
        try:
            return {"watts": round(float(self._sensor.value), 3), "rail": self._name, "reason": ""}
        except (OSError, ValueError) as error:
            return {"watts": None, "rail": self._name, "reason": f"the sensor cannot be read: {error}"}
