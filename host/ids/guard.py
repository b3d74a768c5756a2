"""Guard mode of the `ids` overlay: let it destroy frames of attacks on the bus. Off unless asked for."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from host.ids.driver import Ids

__all__ = ["Guard", "GuardPolicy", "GuardWarning"]

LARGEST_WORD = 0xFFFF_FFFF


class GuardWarning(UserWarning):
    """The overlay may now destroy frames on a bus that others depend on."""


@dataclass(frozen=True, kw_only=True)
class GuardPolicy:
    """What the guard may destroy. Without the right key the overlay transmits nothing."""

    key: int  #: as the documentation of the gateware says; there is no default on purpose
    classes: tuple[int, ...]  #: the model's class indices whose frames are destroyed
    budget: int = 10  #: frames in a burst
    interval_s: float = 0.1  #: after which one more is allowed
    lockout_s: float = 10.0  #: of silence once the budget is used up

    def __post_init__(self) -> None:
        if self.budget < 1 or self.interval_s <= 0 or self.lockout_s < 0:
            raise ValueError(
                f"a guard needs a budget of at least 1, a positive interval and a lockout, not {self!r}"
            )


class Guard:
    """Arms and disarms; reachable as `ids.guard`."""

    def __init__(self, ip: Ids):
        self._ip = ip

    def arm(self, policy: GuardPolicy) -> None:
        """Let the overlay destroy frames of these classes on the bus, until `disarm` or `Ids.close`."""
        ip = self._ip
        warnings.warn(
            f"{ip.name}: GUARD MODE. Frames of classes {policy.classes!r} will be destroyed on the bus, up "
            f"to {policy.budget} in a burst. A false alarm silences a node that may steer or brake: never "
            "use this on a public road.",
            GuardWarning,
            stacklevel=2,
        )
        ip.write_word("GUARD_CLASSES", ip.class_mask(policy.classes))
        ip.write_word("GUARD_BUDGET", policy.budget)
        ip.write_word("GUARD_INTERVAL", self._cycles(policy.interval_s))
        ip.write_word("GUARD_LOCKOUT", self._cycles(policy.lockout_s))
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

    def _cycles(self, seconds: float) -> int:
        return min(int(seconds * self._ip.clock_hz), LARGEST_WORD)
