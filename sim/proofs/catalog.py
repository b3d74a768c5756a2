"""Every proof of the project. A package with contracts adds its tuple here, and `colonnade prove` runs it."""

from .control import CONTROL_PROOFS
from .guard import GUARD_PROOFS
from .runner import Proof
from .streams import STREAM_PROOFS
from .tile import TILE_PROOFS
from .tile_kept import KEPT_PROOFS
from .tile_loader import LOADER_PROOFS
from .tile_share import SHARE_PROOFS

__all__ = ["PROOFS"]

PROOFS: tuple[Proof, ...] = (
    *STREAM_PROOFS,
    *CONTROL_PROOFS,
    *GUARD_PROOFS,
    *TILE_PROOFS,
    *LOADER_PROOFS,
    *KEPT_PROOFS,
    *SHARE_PROOFS,
)
