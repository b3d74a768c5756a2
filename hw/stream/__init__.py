"""Stream units: the plumbing between everything else.

One handshake for all of them: `valid` never waits for `ready`; once raised it stays, with a stable payload,
until the item is accepted. Each unit is swept against its golden twin and carries a bounded proof
(`make prove`).
"""

from .arbiter import Arbiter
from .fifo import Fifo
from .fork import Fork
from .join import Join
from .packet import ByteBeat, LaneBeat, Packet, is_packet
from .skid_buffer import SkidBuffer
from .width_converter import WidthConverter

__all__ = [
    "Arbiter",
    "ByteBeat",
    "Fifo",
    "Fork",
    "Join",
    "LaneBeat",
    "Packet",
    "SkidBuffer",
    "WidthConverter",
    "is_packet",
]
