"""Avnet Ultra96-V2: Zynq UltraScale+ XCZU3EG. CAN on the low-speed expansion header."""

from hw.boards.board import Board, FlowName, Pin
from hw.overlay.hwh import Flavour

__all__ = ["ULTRA96_V2"]

ULTRA96_V2 = Board(
    name="Ultra96",
    title="Avnet Ultra96-V2",
    part="xczu3eg-sbva484-1-i",
    flows=(FlowName.VIVADO,),
    flavour=Flavour.ZYNQMP,
    memory_port="S_AXI_HP0_FPD",
    pins=(
        Pin(port="can_rx", ball="D7", standard="LVCMOS18", where="low-speed header pin 3 (HD_GPIO_0)"),
        Pin(port="can_tx", ball="F8", standard="LVCMOS18", where="low-speed header pin 5 (HD_GPIO_1)"),
    ),
    note="Its header is 1.8 V: a level shifter goes before a CAN transceiver; "
    "no board has confirmed the wiring yet.",
)
