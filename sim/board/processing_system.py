"""The registers of the hard processor that pynq touches: clocks mostly, the rest reads zero until written."""

from __future__ import annotations

from dataclasses import dataclass, field

from hw.overlay.hwh import Flavour

__all__ = ["ARCHITECTURE", "ProcessingSystemRegisters"]

#: What pynq calls the processor of each family.
ARCHITECTURE = {Flavour.ZYNQMP: "aarch64", Flavour.ZYNQ7000: "armv7l"}

#: Where the peripherals of the processor lie; /dev/mem reaches them on a board.
_PERIPHERALS = {
    Flavour.ZYNQMP: range(0xFD00_0000, 0x1_0000_0000),
    Flavour.ZYNQ7000: range(0xE000_0000, 0x1_0000_0000),
}

#: What the boot loader leaves: PLLs running, PL clock 0 at 100 MHz.
_AFTER_BOOT = {
    Flavour.ZYNQMP: {
        0xFF5E_0020: 90 << 8 | 1 << 16,  # IOPLL_CTRL: 33.333 MHz x 90 / 2
        0xFF5E_0030: 90 << 8 | 1 << 16,  # RPLL_CTRL
        0xFF5E_00C0: 1 << 24 | 1 << 16 | 15 << 8,  # PL0_REF_CTRL: on, / 15 / 1
        0xFF5E_00C4: 1 << 16 | 15 << 8,  # PL1_REF_CTRL: off
        0xFF5E_00C8: 1 << 16 | 15 << 8,
        0xFF5E_00CC: 1 << 16 | 15 << 8,
        0xFD1A_0020: 72 << 8 | 1 << 16,  # APLL_CTRL: 1200 MHz
        0xFD1A_002C: 64 << 8 | 1 << 16,  # DPLL_CTRL
        0xFD1A_0038: 90 << 8 | 1 << 16,  # VPLL_CTRL
        0xFD1A_0060: 1 << 8,  # ACPU_CTRL: APLL / 1
    },
    Flavour.ZYNQ7000: {
        0xF800_0100: 26 << 12,  # ARM_PLL_CTRL: 50 MHz x 26
        0xF800_0104: 21 << 12,  # DDR_PLL_CTRL
        0xF800_0108: 20 << 12,  # IO_PLL_CTRL: 1000 MHz
        0xF800_0120: 2 << 8,  # ARM_CLK_CTRL: 650 MHz
        0xF800_0170: 1 << 20 | 10 << 8,  # FPGA0_CLK_CTRL: / 10 / 1
        0xF800_0180: 1 << 20 | 10 << 8,
        0xF800_0190: 1 << 20 | 10 << 8,
        0xF800_01A0: 1 << 20 | 10 << 8,
    },
}


@dataclass
class ProcessingSystemRegisters:
    """A sparse register file; enough for pynq's own Clocks to set and read real frequencies."""

    flavour: Flavour
    words: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.words = dict(_AFTER_BOOT[self.flavour])

    def __contains__(self, address: int) -> bool:
        return address in _PERIPHERALS[self.flavour]

    def read_word(self, address: int) -> int:
        return self.words.get(address, 0)

    def write_word(self, address: int, value: int) -> None:
        self.words[address] = value
