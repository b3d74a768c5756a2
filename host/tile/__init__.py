"""The tile engine from the host's side."""

from host.tile.binary import TileBinary
from host.tile.driver import Tile

__all__ = ["Tile", "TileBinary"]
