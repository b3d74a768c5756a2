"""Guard mode of the `ids` overlay: let it destroy frames of attacks on the bus. Off unless asked for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.ids.driver import Ids

__all__ = ["Guard", "GuardPolicy", "GuardWarning"]


class GuardWarning(UserWarning):
    """The overlay may now destroy frames on a bus that others depend on."""


@dataclass(frozen=True, kw_only=True)
class GuardPolicy:
    """What the guard may destroy. Without the right key the overlay transmits nothing."""

    key: int  #: as the documentation of the gateware says; there is no default on purpose
    classes: tuple[int, ...]  #: the model's class indices whose frames are destroyed


class Guard:
    """Arms and disarms; reachable as `ids.guard`."""

    def __init__(self, ip: Ids):
        self._ip = ip

    def arm(self, policy: GuardPolicy) -> None:
        """Let the overlay destroy frames of these classes on the bus, until `disarm` or `Ids.close`."""
        ip = self._ip
        warnings.warn(
            f"{ip.name}: GUARD MODE. Frames of classes {policy.classes!r} will be destroyed on the bus, up "
            f"to {self.budget} in a burst. A false alarm silences a node that may steer or brake: never "
            "use this on a public road.",
            GuardWarning,
            stacklevel=2,
        )
        ip.write_word("GUARD_CLASSES", ip.class_mask(policy.classes))
        ip.write_word("GUARD_KEY", policy.key)
        ip.write_fields("MODE", GUARD_ENABLE=1)
        if self.state.get("UNLOCKED") == 0:
            self.disarm()
            raise ValueError(
                f"{ip.name}: {policy.key:#010x} is not the key of the guard, which stays off; the key is in "
                "the documentation of the gateware"
            )

    def disarm(self) -> None:
        """Transmit nothing from here on."""
        self._ip.write_word("GUARD_KEY", 0)
        self._ip.write_fields("MODE", GUARD_ENABLE=0)

    @property
    def state(self) -> Mapping[str, int]:
        """The fields of GUARD_STATE."""
        return self._ip.read_fields("GUARD_STATE")

    @property
    def budget(self) -> int:
        """Frames that may be destroyed in a burst; built into the overlay, no register widens it."""
        return self._ip.read_word("GUARD_BUDGET")

    @property
    def interval_s(self) -> float:
        """After which one more may be destroyed."""
        return self._ip.read_word("GUARD_INTERVAL") / self._ip.clock_hz
