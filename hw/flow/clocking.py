"""The clock of a stand-alone ECP5 system: from the board's oscillator through the chip's PLL."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal

__all__ = ["OSCILLATOR_MHZ", "PllSetting", "add_clock", "pll_setting"]

OSCILLATOR_MHZ = 25.0
_VCO_MHZ = (400.0, 800.0)
_PHASE_DETECTOR_MHZ = 3.125  #: at least
_DIVISOR_MAX = 128
_RESET_CYCLES = 15


@dataclass(frozen=True, kw_only=True)
class PllSetting:
    """Divisors of an EHXPLLL whose feedback is its first output."""

    reference: int
    feedback: int
    output: int

    @property
    def mhz(self) -> float:
        return OSCILLATOR_MHZ * self.feedback / self.reference

    @property
    def vco_mhz(self) -> float:
        return self.mhz * self.output


def pll_setting(clock_mhz: float) -> PllSetting:
    """The setting that makes exactly `clock_mhz`, with the fastest phase detector."""
    for reference in range(1, int(OSCILLATOR_MHZ / _PHASE_DETECTOR_MHZ) + 1):
        feedback = clock_mhz * reference / OSCILLATOR_MHZ
        if feedback != int(feedback) or not 1 <= feedback <= 80:
            continue
        outputs = [n for n in range(1, _DIVISOR_MAX + 1) if _VCO_MHZ[0] <= clock_mhz * n <= _VCO_MHZ[1]]
        if outputs:
            # In the middle of its range the oscillator is quietest.
            middle = min(outputs, key=lambda n: abs(clock_mhz * n - sum(_VCO_MHZ) / 2))
            return PllSetting(reference=reference, feedback=int(feedback), output=middle)
    raise ValueError(
        f"clock_mhz {clock_mhz!r} cannot be made from {OSCILLATOR_MHZ:g} MHz; multiples of 12.5 or 6.25 can"
    )


def add_clock(m: Module, *, oscillator: Signal, clock_mhz: float) -> None:
    """Give `m` the domain `sync` at `clock_mhz`, in reset until the PLL has been locked for a while."""
    setting, clock, locked = pll_setting(clock_mhz), Signal(name="clock"), Signal(name="locked")
    m.submodules.pll = Instance(
        "EHXPLLL",
        a_FREQUENCY_PIN_CLKI=f"{OSCILLATOR_MHZ:g}",
        a_FREQUENCY_PIN_CLKOP=f"{setting.mhz:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        p_FEEDBK_PATH="CLKOP",
        p_CLKI_DIV=setting.reference,
        p_CLKFB_DIV=setting.feedback,
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_DIV=setting.output,
        p_CLKOP_CPHASE=setting.output // 2 - 1,
        p_CLKOP_FPHASE=0,
        p_OUTDIVIDER_MUXA="DIVA",
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        i_RST=Const(0),
        i_STDBY=Const(0),
        i_PHASESEL0=Const(0),
        i_PHASESEL1=Const(0),
        i_PHASEDIR=Const(1),
        i_PHASESTEP=Const(1),
        i_PHASELOADREG=Const(1),
        i_PLLWAKESYNC=Const(0),
        i_ENCLKOP=Const(0),
        i_CLKI=oscillator,
        i_CLKFB=clock,
        o_CLKOP=clock,
        o_LOCK=locked,
    )
    m.domains.sync = ClockDomain("sync")
    m.domains.waking = ClockDomain("waking", reset_less=True)
    left = Signal(range(_RESET_CYCLES + 1), init=_RESET_CYCLES)
    held = Signal(init=1)
    settled = Signal(2)
    m.d.comb += [ClockSignal("sync").eq(clock), ClockSignal("waking").eq(clock), ResetSignal("sync").eq(held)]
    m.d.waking += [settled.eq(settled << 1 | locked), held.eq(left != 0)]
    with m.If(~settled[1]):
        m.d.waking += left.eq(_RESET_CYCLES)
    with m.Elif(left != 0):
        m.d.waking += left.eq(left - 1)
