"""Radiona ULX3S with the largest ECP5: no processor, so it runs stand-alone systems."""

from hw.boards.board import Board, FlowName, Pin

__all__ = ["ULX3S_85F"]

#: The verdict LEDs are the eight of the board, the first on the right.
_LEDS = ("B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3")

ULX3S_85F = Board(
    name="ULX3S",
    title="Radiona ULX3S-85F",
    part="LFE5U-85F-6BG381C",
    flows=(FlowName.ECP5,),
    pins=(
        Pin(port="can_rx", ball="U18", standard="LVCMOS33", where="header J2, GP14"),
        Pin(port="can_tx", ball="U17", standard="LVCMOS33", where="header J2, GN14"),
        Pin(port="uart_tx", ball="L4", standard="LVCMOS33", where="USB1, through the FTDI chip"),
        *(
            Pin(port="leds", ball=ball, standard="LVCMOS33", where=f"LED {index}")
            for index, ball in enumerate(_LEDS)
        ),
    ),
    note="A 3.3 V CAN transceiver on GP14 and GN14; no board has confirmed the wiring yet.",
)
