"""Power and energy from the rails that pynq can read on a board; elsewhere there is none, and it says so."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Energy", "choose_rail", "measure_power"]

#: Rails that carry the whole board or chip come first: the input of ZCU104 and Ultra96, the sensor of Kria.
PREFERRED = ("12V", "total_power", "ina260_u14", "power1", "PSINT_FP", "INT", "VCCINT")
#: PYNQ images name their board here. Without it, rails would be those of a workstation.
BOARD_VARIABLE = "BOARD"
INTERVAL_S = 0.05


@dataclass
class Energy:
    """What was measured, filled in when the measurement ends; `reason` says why there is nothing."""

    rail: str = ""
    watts: float = float("nan")
    seconds: float = 0.0
    samples: int = 0
    reason: str = ""

    @property
    def is_measured(self) -> bool:
        return self.samples > 0

    @property
    def joules(self) -> float:
        return self.watts * self.seconds

    def describe(self, inferences: int) -> str:
        """One line for the user."""
        if not self.is_measured:
            return f"power: none measured, {self.reason}"
        each = f", {self.joules / inferences:.3g} J per inference" if inferences else ""
        return (
            f"power: {self.watts:.3f} W on rail {self.rail} over {self.seconds:.2f} s ("
            f"{self.samples} samples){each}; all that hangs on the rail is in it"
        )


def choose_rail(rails: dict[str, Any], wanted: str | None = None) -> str:
    """The rail to measure: the one that is wanted, or the one that carries most."""
    with_power = [name for name, rail in rails.items() if rail.power is not None]
    if wanted is not None:
        if wanted not in with_power:
            raise ValueError(
                f"the board has no rail {wanted!r} with a power sensor; it has "
                f"{', '.join(with_power) or 'none'}"
            )
        return wanted
    return next((name for name in PREFERRED if name in with_power), with_power[0] if with_power else "")


@contextmanager
def measure_power(*, rail: str | None = None, interval_s: float = INTERVAL_S) -> Iterator[Energy]:
    """Record a rail while the body runs."""
    energy = Energy()
    recorder = _recorder(energy, rail)
    if recorder is None:
        yield energy
        return
    with recorder.record(interval_s):
        yield energy
    _evaluate(energy, recorder.frame)


def _recorder(energy: Energy, wanted: str | None) -> Any:
    if not os.environ.get(BOARD_VARIABLE):
        energy.reason = (
            f"because this is no board with power rails (PYNQ images name theirs in {BOARD_VARIABLE})"
        )
        return None
    try:
        import pynq
    except ImportError:
        energy.reason = "because pynq is not installed"
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no libsensors, which is said below
        rails = pynq.get_rails()
    energy.rail = choose_rail(rails, wanted)
    if not energy.rail:
        energy.reason = f"because pynq finds no rail with a power sensor on {os.environ[BOARD_VARIABLE]}"
        return None
    try:
        return pynq.DataRecorder(rails[energy.rail].power)
    except ImportError:
        energy.reason = "because pynq's DataRecorder needs pandas: pip install pandas"
        return None


def _evaluate(energy: Energy, frame: Any) -> None:
    """Mean power over the time between the first and the last sample."""
    column = frame.columns[-1]
    energy.samples = len(frame)
    if not energy.samples:
        energy.reason = "because the run was over before the first sample"
        return
    energy.watts = float(frame[column].mean())
    energy.seconds = (frame.index[-1] - frame.index[0]).total_seconds()
    if energy.samples < 2:
        energy.samples = 0
        energy.reason = "because the run was too short for two samples"
