"""The overlays that can be simulated and built, by name."""

from collections.abc import Callable

from hw.overlay.base import Overlay
from hw.overlay.copy import CopyOverlay
from hw.overlay.ids import IdsOverlay
from hw.overlay.tile import TileOverlay

__all__ = ["OVERLAYS"]

#: Makes an overlay in its default configuration.
OVERLAYS: dict[str, Callable[[], Overlay]] = {
    "copy": CopyOverlay,
    "ids": IdsOverlay,
    "tile": TileOverlay,
}
