"""TUL PYNQ-Z2: Zynq-7020. CAN on header PMODA."""

from hw.boards.board import Board, FlowName, Pin
from hw.overlay.hwh import Flavour

__all__ = ["PYNQ_Z2"]

PYNQ_Z2 = Board(
    name="Pynq-Z2",
    title="TUL PYNQ-Z2",
    part="xc7z020clg400-1",
    flows=(FlowName.VIVADO, FlowName.ZYNQ7000),
    flavour=Flavour.ZYNQ7000,
    memory_port="S_AXI_HP0",
    pins=(
        Pin(port="can_rx", ball="Y18", standard="LVCMOS33", where="PMODA pin 1"),
        Pin(port="can_tx", ball="Y19", standard="LVCMOS33", where="PMODA pin 2"),
    ),
    note="A 3.3 V CAN transceiver on PMODA; no board has confirmed the wiring yet.",
)
