"""AMD ZCU104: Zynq UltraScale+ XCZU7EV, the board of the published measurements. CAN on header PMOD0."""

from hw.boards.board import Board, FlowName, Pin
from hw.overlay.hwh import Flavour

__all__ = ["ZCU104"]

ZCU104 = Board(
    name="ZCU104",
    title="AMD ZCU104",
    part="xczu7ev-ffvc1156-2-e",
    flows=(FlowName.VIVADO,),
    flavour=Flavour.ZYNQMP,
    memory_port="S_AXI_HP0_FPD",
    pins=(
        Pin(port="can_rx", ball="G8", standard="LVCMOS33", where="PMOD0 (J55) pin 1"),
        Pin(port="can_tx", ball="H8", standard="LVCMOS33", where="PMOD0 (J55) pin 3"),
    ),
    note="A 3.3 V CAN transceiver on PMOD0; no board has confirmed the wiring yet.",
)
