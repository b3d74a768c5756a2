"""The whole `copy` overlay between bus models that we did not write: registers, DMA, interrupt.

It also takes the time, for `colonnade bench`: cycles and CPU seconds of the copying go to speed.json in the
folder of the run.
"""

import json
import os
import random
import time
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from hw.overlay.copy import CopyOverlay
from hw.stream.checksum import Checksum
from sim.benches.runner import Bench, parameters

SPEED = "speed.json"
PERIOD_NS = 10
RAM_BYTES = 1 << 20


class _Copier:
    """The overlay, its registers by name, and the memory behind it."""

    def __init__(self, dut):
        cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
        self._dut = dut
        self._map = CopyOverlay().description.register_map
        self._control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi_control"), dut.clk, dut.rst)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi_memory"), dut.clk, dut.rst, size=RAM_BYTES)

    async def reset(self) -> None:
        self._dut.rst.value = 1
        await ClockCycles(self._dut.clk, 3)
        self._dut.rst.value = 0
        await self.write(0x1000 + 0x08, 1)  # the interrupt controller: enable `done`, and all of it
        await self.write(0x1000 + 0x1C, 3)

    async def write(self, register: str | int, value: int) -> None:
        offset = self._map.offset(register) if isinstance(register, str) else register
        await self._control.write_dword(offset, value)

    async def read(self, register: str) -> int:
        return await self._control.read_dword(self._map.offset(register))

    async def copy(self, source: int, destination: int, length: int) -> None:
        words = {
            "SOURCE_LO": source,
            "SOURCE_HI": 0,
            "DESTINATION_LO": destination,
            "DESTINATION_HI": 0,
            "LENGTH": length,
            "CONTROL": 1,
        }
        for register, value in words.items():
            await self.write(register, value)
        await RisingEdge(self._dut.interrupt)
        await self.write("INTERRUPT", 1)


@cocotb.test()
async def bytes_arrive_between_their_neighbours(dut):
    """Any length, from any address to any other: the bytes, the checksum, and nothing else touched."""
    choose = random.Random(int(os.environ.get("COCOTB_RANDOM_SEED", "1")))
    copier = _Copier(dut)
    await copier.reset()
    for _ in range(parameters()["copies"]):
        length = choose.choice([1, 7, 8, 9, choose.randint(1, 3000)])
        source, destination = choose.randrange(8192), 0x4000 + choose.randrange(8192)
        content = choose.randbytes(length)
        copier.ram.write(source, content)
        copier.ram.write(0x4000, b"\xee" * 16384)
        await copier.copy(source, destination, length)
        around = copier.ram.read(destination - 8 if destination >= 0x4008 else 0x4000, length + 16)
        before = min(8, destination - 0x4000)
        assert bytes(around[before : before + length]) == content
        assert set(around[:before] + around[before + length :]) <= {0xEE}
        assert await copier.read("CHECKSUM") == Checksum.compute(content)


@cocotb.test()
async def take_the_time(dut):
    """One long copy; how many cycles a CPU second simulates."""
    copier = _Copier(dut)
    await copier.reset()
    length = parameters()["timed_bytes"]
    content = random.Random(1).randbytes(length)
    copier.ram.write(0, content)
    cycles, seconds = get_sim_time("ns"), time.process_time()
    await copier.copy(0, RAM_BYTES // 2, length)
    figures = {
        "cycles": round((get_sim_time("ns") - cycles) / PERIOD_NS),
        "cpu_seconds": time.process_time() - seconds,
    }
    assert copier.ram.read(RAM_BYTES // 2, length) == content
    Path(SPEED).write_text(json.dumps(figures))


BENCHES = (
    Bench(
        name="copy_overlay",
        component=CopyOverlay,
        module=__name__,
        parameters={"copies": 20, "timed_bytes": 1 << 16},
    ),
)
