"""What host code sees of a simulated board, on both families of chips; and what it leaves behind: nothing."""

import os
from pathlib import Path

import numpy as np
import pytest

from sim.board import BoardHang, BusError, simulated_board

FLAVOURS = {"zynqmp": 0xA000_0000, "zynq7000": 0x4000_0000}


@pytest.fixture(params=FLAVOURS)
def flavoured(request, make_board, probe):
    return request.param, make_board(probe, flavour=request.param)


def test_an_overlay_runs_on_either_family(flavoured, probe_driver):
    from pynq import allocate

    flavour, board = flavoured
    driver = probe_driver(board.bitfile)
    assert driver.ip.mmio.base_addr == FLAVOURS[flavour]
    source, destination = allocate(4, "u8"), allocate(4, "u8")
    source[:] = [1, 2, 3, 4]
    source.flush()
    driver.start(source.device_address, destination.device_address, beats=4, addend=10)
    assert driver.finish() & 0xFFFF_0000 == 0
    destination.invalidate()
    assert destination.tolist() == [11, 12, 13, 14]


def test_pynq_sets_and_reads_real_clocks(flavoured, probe_driver):
    from pynq import Clocks

    flavour, board = flavoured
    probe_driver(board.bitfile)
    assert board.clock_mhz == pytest.approx(100, abs=0.01)
    Clocks.fclk0_mhz = 50
    assert board.clock_mhz == pytest.approx(50, abs=0.01)
    assert pytest.approx({"zynqmp": 1200, "zynq7000": 650}[flavour], rel=1e-3) == Clocks.cpu_mhz


def test_host_code_finds_the_bitstream_as_on_a_board(board):
    from host.overlays import bitfile

    assert Path(bitfile("probe")).resolve() == Path(board.bitfile).resolve()


def test_a_download_starts_the_overlay_afresh(board, driver, probe_driver):
    driver.registers.ADDEND = 77
    board.run(1000)
    before = board.cycles
    fresh = probe_driver(board.bitfile)
    assert int(fresh.registers.ADDEND) == 0
    assert board.cycles < before
    assert set(board.builds) == {"probe"}


def test_time_goes_by_with_accesses_alone(board, driver):
    start = board.cycles
    np.zeros(10) + 1
    assert board.cycles == start
    driver.ip.read(0)
    once = board.cycles - start
    driver.ip.read(0)
    assert board.cycles - start == 2 * once
    assert once > 100


@pytest.mark.parametrize("address", [0x9000_0000, 0xA001_0000])
def test_nothing_answers_outside_of_the_window(board, driver, address):
    from pynq import MMIO

    with pytest.raises(BusError, match=f"nothing answers at address {address:#x}: the overlay's window"):
        MMIO(address, 4).read(0)


def test_a_register_that_is_not_there_is_a_bus_error(driver):
    with pytest.raises(BusError, match=r"answered the read at offset 0xffc with .*no register is there"):
        driver.ip.read(0xFFC)


def test_before_the_download_there_is_nothing(board):
    from pynq import MMIO

    assert board.cycles == 0
    with pytest.raises(BusError, match="no overlay is loaded on the simulated board"):
        MMIO(0xA000_0000, 4).read(0)


def test_another_bitstream_is_refused(board, tmp_path):
    from pynq import Overlay

    for suffix in (".bit", ".hwh"):
        (tmp_path / f"other{suffix}").write_bytes(Path(board.bitfile).with_suffix(suffix).read_bytes())
    with pytest.raises(ValueError, match=r"made for \['probe'\], so it has no gateware for 'other'"):
        Overlay(str(tmp_path / "other.bit"))


@pytest.mark.parametrize("board", [{"budget_cycles": 5_000}], indirect=True)
def test_a_hang_is_told_in_the_names_of_the_registers(board, driver, manners_of_the_probe):
    driver.start(0x1000_0000, 0x1000_0000, manners=manners_of_the_probe.HANG)
    with pytest.raises(BoardHang, match="overlay 'probe' hangs") as hang:
        driver.finish()
    for part in ("STATUS = 0x00000001 (BUSY=0x1)", "ERROR = 0x0", "STALL_READ = 0", "read_bursts 0", "5,000"):
        assert part in str(hang.value)
    driver.registers.SOFT_RESET = 1  # the board goes on: another word from the host is a new budget
    assert int(driver.registers.ID) == 0x434F4C4E


def test_a_budget_is_about_silence_not_about_length(probe, probe_driver):
    with simulated_board(probe, budget_cycles=5_000) as board:
        driver = probe_driver(board.bitfile)
        for _ in range(100):
            driver.registers.ADDEND = 1
        assert board.cycles > 10_000


def test_nothing_stays_behind(probe):
    import pynq.interrupt
    import pynq.overlay
    from pynq.pl_server.device import Device
    from pynq.ps import Clocks

    def state():
        interrupts = pynq.interrupt
        return (
            vars(Device).get("_active_device"),
            vars(Clocks).get("_real_instance"),
            Clocks.device if hasattr(Clocks, "device") else None,
            interrupts.get_uio_irq,
            interrupts.UioController,
            interrupts._InterruptController._controllers,
            os.environ.get("COLONNADE_OVERLAYS"),
            dict(pynq.overlay._ip_drivers),
        )

    before = state()
    with simulated_board(probe) as board:
        folder = Path(board.bitfile).parent

        class Local(pynq.overlay.DefaultIP):
            bindto = ["colonnade:overlay:probe:1.0"]

        assert isinstance(pynq.overlay.Overlay(board.bitfile).probe, Local)
        assert state() != before
    assert state() == before
    assert not folder.exists()


def test_unknown_overlays_are_refused():
    with (
        pytest.raises(ValueError, match="there is no overlay 'nonsense'; there are"),
        simulated_board("nonsense"),
    ):
        pass
    with pytest.raises(ValueError, match="at least one overlay"), simulated_board():
        pass


def test_a_trace_shows_the_ports(probe, probe_driver, make_board, tmp_path):
    board = make_board(probe, trace=tmp_path / "wave.vcd")
    probe_driver(board.bitfile)
    board.run(10)
    probe_driver(board.bitfile)  # a second download writes a second file, and ends the first
    text = (tmp_path / "wave.vcd").read_text()
    assert "s_axi_control_arvalid" in text
    assert text.count("\n#") > 20
    assert (tmp_path / "wave-2.vcd").exists()
