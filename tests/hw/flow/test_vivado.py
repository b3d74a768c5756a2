"""The vendor's flow without the vendor: its scripts under plain Tcl, and its runs with a stand-in."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from hw.boards.board import FlowName
from hw.boards.catalog import BOARDS, board_named
from hw.flow import vivado
from hw.flow.module_ports import module_ports
from hw.flow.tools import FlowError, MissingTool
from hw.overlay.hwh import Flavour
from hw.overlay.package import package

TCLSH = shutil.which("tclsh")
needs_tcl = pytest.mark.skipif(TCLSH is None, reason="tclsh is not installed; apt-get install tcl")
ZYNQ_BOARDS = [board for board in BOARDS if FlowName.VIVADO in board.flows]
RECORDING = Path(__file__).with_name("recording.tcl")
#: Pins and interfaces of the vendor's cells that a design may use, besides those of the overlay.
VENDOR_PINS = {
    "proc_sys_reset": {"slowest_sync_clk", "ext_reset_in", "peripheral_reset", "peripheral_aresetn"},
    "smartconnect": {"aclk", "aresetn", "S00_AXI", "M00_AXI"},
    "zynq_ultra_ps_e": {
        "pl_clk0", "pl_resetn0", "pl_ps_irq0", "maxihpm0_fpd_aclk", "saxihp0_fpd_aclk",
        "saxihp1_fpd_aclk", "M_AXI_HPM0_FPD", "S_AXI_HP0_FPD", "S_AXI_HP1_FPD",
    },
    "processing_system7": {
        "FCLK_CLK0", "FCLK_RESET0_N", "IRQ_F2P", "M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK", "S_AXI_HP1_ACLK",
        "M_AXI_GP0", "S_AXI_HP0", "S_AXI_HP1",
    },
}  # fmt: skip


class Design:
    """What recorded commands made."""

    def __init__(self, commands):
        self.commands = commands
        self.cells = {
            c[-1]: c[c.index("-vlnv") + 1].split(":")[2] for c in self.of("create_bd_cell") if "-vlnv" in c
        }
        self.modules = {
            c[-1]: c[c.index("-reference") + 1] for c in self.of("create_bd_cell") if "-reference" in c
        }

    def of(self, name):
        return [command for command in self.commands if command[0] == name]

    @property
    def nets(self):
        """Name to the set of pins and ports."""
        return {c[2]: {pin.split()[1] for pin in c[3:]} for c in self.of("connect_bd_net")}

    def net_of(self, pin):
        return next(pins for pins in self.nets.values() if pin in pins)

    @property
    def buses(self):
        return [{pin.split()[1] for pin in c[1:]} for c in self.of("connect_bd_intf_net")]


def split(line):
    """A Tcl list of words, which are braced where they hold blanks."""
    words, depth, word = [], 0, ""
    for letter in line:
        if letter == "{":
            depth += 1
            if depth == 1:
                continue
        if letter == "}":
            depth -= 1
            if depth == 0:
                continue
        if letter == " " and depth == 0:
            words.append(word)
            word = ""
        else:
            word += letter
    assert depth == 0
    return [*words, word]


@pytest.fixture(scope="module", params=[1, 2], ids=["one memory port", "two memory ports"])
def packed(tally, request):
    return package(tally(memory_ports=request.param))


@pytest.fixture(scope="module", params=ZYNQ_BOARDS, ids=lambda board: board.name)
def board(request):
    return request.param


@pytest.fixture(scope="module")
def project(packed, board):
    return vivado.project_files(packed, board=board, clock_mhz=100)


@pytest.fixture(scope="module")
def design(project, tmp_path_factory):
    if TCLSH is None:
        pytest.skip("tclsh is not installed; apt-get install tcl")
    folder = tmp_path_factory.mktemp("project")
    for name, text in project.files.items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [TCLSH, str(RECORDING), "record", "create.tcl"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "created").exists()
    return Design([split(line) for line in (folder / "record").read_text().splitlines()])


def test_every_file_that_is_named_is_there(design, project):
    named = [name for command in design.of("add_files") for name in command[-1].split()]
    assert set(named) - {"wrapper.v"} == {"tally.v", "tally_block.v", "pins.xdc"}
    assert set(named) - {"wrapper.v"} <= set(project.files)


def test_the_part_is_the_boards(design, board):
    (command,) = design.of("create_project")
    assert command[command.index("-part") + 1] == board.part


def test_every_pin_that_is_named_exists(design, project, packed):
    ports = module_ports(packed.verilog, "tally")
    overlay = {port.name for port in ports if not port.bus} | {port.bus for port in ports if port.bus}
    assert design.modules == {"overlay": "tally_block"}
    assert "module tally_block (" in project.files["tally_block.v"]
    for command in (*design.of("get_bd_pins"), *design.of("get_bd_intf_pins")):
        cell, pin = command[-1].split("/")
        known = overlay if cell == "overlay" else VENDOR_PINS[design.cells[cell]]
        assert pin in known, f"cell {cell} has no pin {pin}"
    made = {command[-1] for command in design.of("create_bd_port")}
    assert {command[-1] for command in design.of("get_bd_ports")} == made


def test_every_pin_of_the_overlay_is_connected_once(design, packed):
    ports = module_ports(packed.verilog, "tally")
    expected = {f"overlay/{port.bus or port.name}" for port in ports}
    pins = [
        pin for net in (*design.nets.values(), *design.buses) for pin in net if pin.startswith("overlay/")
    ]
    assert sorted(pins) == sorted(expected)


def test_the_hwh_says_the_same(design, packed, board):
    root = ElementTree.fromstring(packed.hwh(board.flavour, clock_mhz=100).split("\n", 1)[1])
    system = board.flavour.processing_system
    ranges = [node.attrib for node in root.iter("MEMRANGE") if node.get("MEMTYPE") == "REGISTER"]
    (control,) = [c for c in design.of("assign_bd_address") if "-offset" in c]
    base, size = int(control[control.index("-offset") + 1], 0), control[control.index("-range") + 1]
    assert control[-1] == "get_bd_addr_segs overlay/s_axi_control/reg0"
    assert base == min(int(window["BASEVALUE"], 0) for window in ranges)
    assert base + int(size.removesuffix("K")) * 1024 > max(int(window["HIGHVALUE"], 0) for window in ranges)
    assert {window["MASTERBUSINTERFACE"] for window in ranges} == {system.control_port}

    processor = root.find(f".//MODULE[@INSTANCE='{system.instance}']")
    assert design.cells[system.instance] == processor.get("MODTYPE")
    wired = {
        port.get("NAME"): port.get("SIGIS")
        for port in processor.iter("PORT")
        if port.find("CONNECTIONS") is not None
    }
    clock = next(name for name, kind in wired.items() if kind == "clk")
    interrupt = next(name for name, kind in wired.items() if kind == "INTERRUPT")
    assert f"{system.instance}/{clock}" in design.net_of("overlay/clk")
    assert f"{system.instance}/{interrupt}" in design.net_of("overlay/interrupt")
    assert {f"{system.instance}/{system.control_port}", "control/S00_AXI"} in design.buses
    assert {f"{system.instance}/{board.memory_port}", "memory/M00_AXI"} in design.buses
    reached = [node.attrib for node in root.iter("MEMRANGE") if node.get("MEMTYPE") == "MEMORY"]
    assert len(reached) == packed.description.memory_ports
    for memory in reached:
        master = memory["MASTERBUSINTERFACE"].lower()  # m_axi_<cell>
        cell = master.removeprefix("m_axi_")
        assert {f"overlay/{master}", f"{cell}/S00_AXI"} in design.buses
        assert {f"{cell}/M00_AXI", f"{system.instance}/{memory['SLAVEBUSINTERFACE']}"} in design.buses
        assert f"{cell}/aclk" in design.net_of("overlay/clk")
        assigned = [
            c for c in design.of("assign_bd_address") if c[2] == f"get_bd_addr_spaces overlay/{master}"
        ]
        assert assigned[0][-1].endswith(f"/{memory['ADDRESSBLOCK']}")

    described = {node.get("NAME"): node.get("VALUE") for node in processor.iter("PARAMETER")}
    (settings,) = [
        c[2].split() for c in design.of("set_property") if c[-1] == f"get_bd_cells {system.instance}"
    ]
    settings = dict(zip(settings[::2], settings[1::2], strict=True))
    if board.flavour is Flavour.ZYNQMP:
        pairs = {
            "CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ",
            "CONFIG.PSU__SAXIGP2__DATA_WIDTH": "C_SAXIGP2_DATA_WIDTH",
            "CONFIG.PSU__SAXIGP3__DATA_WIDTH": "C_SAXIGP3_DATA_WIDTH",
            "CONFIG.PSU__USE__S_AXI_GP2": "PSU__USE__S_AXI_GP2",
            "CONFIG.PSU__USE__S_AXI_GP3": "PSU__USE__S_AXI_GP3",
            "CONFIG.PSU__MAXIGP0__DATA_WIDTH": "C_MAXIGP0_DATA_WIDTH",
        }
    else:
        pairs = {
            "CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ": "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ",
            "CONFIG.PCW_S_AXI_HP0_DATA_WIDTH": "PCW_S_AXI_HP0_DATA_WIDTH",
            "CONFIG.PCW_S_AXI_HP1_DATA_WIDTH": "PCW_S_AXI_HP1_DATA_WIDTH",
            "CONFIG.PCW_USE_S_AXI_HP0": "PCW_USE_S_AXI_HP0",
            "CONFIG.PCW_USE_S_AXI_HP1": "PCW_USE_S_AXI_HP1",
        }
    second = {name for name in pairs if "GP3" in name or "HP1" in name}
    assert len(second) == 2
    if packed.description.memory_ports == 1:
        assert {settings.get(name, "0") for name in second} == {"0"}
        assert not {pairs.pop(name) for name in second} & set(described)
    for ours, theirs in pairs.items():
        assert settings[ours] == described[theirs], ours


def test_the_constraints_place_the_overlays_pins_on_the_boards_balls(project, board):
    lines = [line for line in project.files["pins.xdc"].splitlines() if not line.startswith("#")]
    balls = {pin.port: pin.ball for pin in board.pins}
    standard = board.pins[0].standard
    assert lines == [
        f"set_property -dict {{PACKAGE_PIN {balls[port]} IOSTANDARD {standard}}} [get_ports {{{port}}}]"
        for port in ("can_rx", "can_tx")
    ]


@needs_tcl
def test_the_runs_of_a_finished_project_are_not_repeated(packed, tmp_path):
    project = vivado.project_files(packed, board=board_named("zcu104"), clock_mhz=100)
    (tmp_path / "build.tcl").write_text(project.files["build.tcl"])
    made = tmp_path / "project" / "overlay.runs" / "impl_1" / "system_wrapper.bit"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"bits")
    subprocess.run([TCLSH, str(RECORDING), "record", "build.tcl"], cwd=tmp_path, check=True)
    record = (tmp_path / "record").read_text()
    assert "launch_runs" not in record
    assert (tmp_path / "tally.bit").read_bytes() == b"bits"


def test_the_same_sources_give_the_same_project(tally):
    keys = {
        vivado.project_files(package(tally()), board=board_named("kv260"), clock_mhz=100).key
        for _ in range(2)
    }
    other = vivado.project_files(package(tally()), board=board_named("kv260"), clock_mhz=150).key
    assert len(keys) == 1
    assert other not in keys


def build(packed, folder):
    return vivado.build(packed, board=board_named("zcu104"), clock_mhz=100, build_folder=folder)


def test_a_build_that_stops_goes_on_where_it_was(packed, stub, tmp_path):
    complaint = "ERROR: [Place 30-494] The design is empty"
    calls = stub(
        "vivado",
        'for last in "$@"; do :; done; '
        f'case $last in create.tcl) touch created;; build.tcl) echo "{complaint}"; exit 1;; esac',
        version="v2024.1 (64-bit)",
    )
    with pytest.raises(FlowError) as caught:
        build(packed, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"board ZCU104, overlay tally, step build: vivado failed: {complaint}; read ")
    assert Path(message.rsplit("read ", 1)[1]).read_text().startswith("ERROR")
    again = stub("vivado", "printf bits > tally.bit; echo report > timing.rpt")
    bitstream, reports = build(packed, tmp_path)
    assert (bitstream, reports) == (b"bits", {"timing.rpt": b"report\n"})
    scripts = [call[-1] for call in again()]
    assert scripts == ["create.tcl", "build.tcl", "build.tcl"], "the project was made once"
    assert build(packed, tmp_path)[0] == b"bits"
    assert len(calls()) == 3, "a finished build runs nothing"


def test_a_failure_names_a_version_that_is_not_known(packed, stub, tmp_path):
    stub("vivado", "exit 1", version="v2019.2 (64-bit)")
    expected = (
        "step create by 'vivado v2019.2 (64-bit)', where versions 2022.1 to 2025.2 are known: vivado failed"
    )
    with pytest.raises(FlowError, match=re.escape(expected)):
        build(packed, tmp_path)


def test_success_without_a_bitstream_is_no_success(packed, stub, tmp_path):
    stub("vivado", "touch created")
    with pytest.raises(FlowError, match="Vivado ended well and yet wrote no bitstream"):
        build(packed, tmp_path)


def test_a_machine_without_it_is_told_so(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match=r"(?s)board ZCU104 needs .*vivado: install Vivado ML Standard"):
        build(packed, tmp_path)
