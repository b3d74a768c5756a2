"""A board that is not there: overlays verilated into a library, behind the real pynq."""

from sim.board.errors import BoardError, BoardHang, BusError, ProtocolViolation
from sim.board.memory import Fault, MemoryModel
from sim.board.session import SimulatedBoard, simulated_board

__all__ = [
    "BoardError",
    "BoardHang",
    "BusError",
    "Fault",
    "MemoryModel",
    "ProtocolViolation",
    "SimulatedBoard",
    "simulated_board",
]
