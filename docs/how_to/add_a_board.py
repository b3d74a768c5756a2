"""A new board, `Pynq-Z1`, from its pins to all that can be made for it without one: tests run this file."""

import numpy as np
from pynq import Overlay, allocate

from host.copy import Copy
from host.overlays import bitfile
from hw.boards.board import Board, FlowName, Pin
from hw.flow.vivado import project_files
from hw.overlay.catalog import OVERLAYS
from hw.overlay.hwh import Flavour
from hw.overlay.package import package
from sim.board import simulated_board

# 1. hw/boards/pynq_z1.py: nothing but values. Balls and voltages come from the board's constraints file.
PYNQ_Z1 = Board(
    name="Pynq-Z1",  # as the image has it in the variable BOARD
    title="Digilent PYNQ-Z1",
    part="xc7z020clg400-1",
    flows=(FlowName.VIVADO, FlowName.ZYNQ7000),  # the first whose tools are installed is taken
    flavour=Flavour.ZYNQ7000,
    memory_port="S_AXI_HP0",
    pins=(
        Pin(port="can_rx", ball="Y18", standard="LVCMOS33", where="PMODA pin 1"),
        Pin(port="can_tx", ball="Y19", standard="LVCMOS33", where="PMODA pin 2"),
    ),
    note="A 3.3 V CAN transceiver on PMODA; no board has confirmed the wiring yet.",
)

# 2. Every port of an overlay that is no bus needs a pin; a missing one is refused by its name.
overlay = package(OVERLAYS["ids"]())
for constraint, pin in PYNQ_Z1.pins_of({port.name: port.bits for port in overlay.pins}):
    print(f"{constraint}: ball {pin.ball}, {pin.where}")

# 3. What Vivado would get. `colonnade bitstream` starts it where it is installed.
project = project_files(overlay, board=PYNQ_Z1, clock_mhz=PYNQ_Z1.clock_mhz)
print("project files:", ", ".join(sorted(project.files)))

# 4. What host programs get: here a simulated chip of the same family, which pynq takes for the board.
with simulated_board("copy", flavour=PYNQ_Z1.flavour.value) as board:
    copier: Copy = Overlay(bitfile("copy")).copy
    with allocate(4096, np.uint8) as source, allocate(4096, np.uint8) as destination:
        source[:] = np.arange(4096) % 251
        copier.copy(source, destination)
        assert np.array_equal(source, destination)
    print(f"copied 4096 bytes at {board.clock_mhz:.4g} MHz")
