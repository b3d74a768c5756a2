"""What can go wrong on a simulated board, each with what a person needs to find the cause."""

__all__ = ["BoardError", "BoardHang", "BusError", "ProtocolViolation"]


class BoardError(RuntimeError):
    """The simulated board cannot go on."""


class BusError(BoardError):
    """A host access that nothing answers for: SIGBUS, or a processor that hangs, on a real board."""


class BoardHang(BoardError):
    """Too many cycles went by without the host doing anything: the overlay is stuck."""


class ProtocolViolation(BoardError):
    """The overlay broke a rule of AXI that real interconnects rely on."""
