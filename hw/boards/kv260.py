"""AMD Kria KV260: K26 module with a Zynq UltraScale+. CAN on the Pmod header."""

from hw.boards.board import Board, FlowName, Pin
from hw.overlay.hwh import Flavour

__all__ = ["KV260"]

KV260 = Board(
    name="KV260",
    title="AMD Kria KV260",
    part="xck26-sfvc784-2LV-c",
    flows=(FlowName.VIVADO,),
    flavour=Flavour.ZYNQMP,
    memory_port="S_AXI_HP0_FPD",
    pins=(
        Pin(port="can_rx", ball="H12", standard="LVCMOS33", where="Pmod (J2) pin 1"),
        Pin(port="can_tx", ball="E10", standard="LVCMOS33", where="Pmod (J2) pin 3"),
    ),
    note="A 3.3 V CAN transceiver on Pmod J2; no board has confirmed the wiring yet.",
)
