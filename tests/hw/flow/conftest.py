import os

import pytest
from amaranth.hdl import Signal
from amaranth.lib.wiring import In, Out

from hw.bus.register_map import Access, Field, Register
from hw.overlay.base import Overlay


class Tally(Overlay):
    """The smallest overlay with memory ports and pins."""

    def __init__(self, *, memory_data_bits=64, memory_ports=1, pins=True):
        super().__init__(
            name="tally",
            version=(1, 0),
            memory_data_bits=memory_data_bits,
            memory_ports=memory_ports,
            registers=(Register(name="CONTROL", fields=(Field(name="START", access=Access.PULSE),)),),
            pins={"can_rx": In(1), "can_tx": Out(1)} if pins else {},
        )

    def build(self, m, shell):
        count = Signal(8)
        with m.If(shell.registers.control_start):
            m.d.sync += count.eq(200)
        with m.Elif(count != 0):
            m.d.sync += count.eq(count - 1)
        m.d.comb += [shell.busy.eq(count != 0), shell.interrupts["done"].eq(count == 1)]
        if self.pins:
            m.d.comb += self.can_tx.eq(~self.can_rx)


@pytest.fixture(scope="session")
def tally():
    return Tally


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Put programs on PATH that record how they were called, and then run a line of shell."""
    folder = tmp_path / "stubs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name, body="", *, version="1.0"):
        path = folder / name
        path.write_text(
            f'#!/bin/sh\ncase "$1" in -V|--version|-version|--help) echo "{name} {version}"; exit;; esac\n'
            f'echo "$@" >> {folder}/{name}.calls\n{body}\n'
        )
        path.chmod(0o755)
        calls = folder / f"{name}.calls"
        return lambda: [line.split() for line in calls.read_text().splitlines()] if calls.exists() else []

    return write
