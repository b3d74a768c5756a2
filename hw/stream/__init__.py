"""Stream units: the plumbing between everything else.

One handshake for all of them: `valid` never waits for `ready`; once raised it stays, with a stable payload,
until the item is accepted. Each unit is swept against its golden twin and carries a bounded proof
(`make prove`).
"""

from .fifo import Fifo
from .packet import ByteBeat, LaneBeat, Packet, is_packet
from .skid_buffer import SkidBuffer

__all__ = ["ByteBeat", "Fifo", "LaneBeat", "Packet", "SkidBuffer", "is_packet"]
