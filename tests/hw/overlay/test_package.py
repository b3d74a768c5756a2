import dataclasses
import subprocess
import sys

import pytest
from pynq.pl_server.embedded_device import bit2bin, parse_bit_header

from hw.overlay.package import Pin, design_digest, package


@pytest.fixture(scope="module")
def packaged(tally):
    """The package of the tally overlay, which nobody changes."""
    return package(tally())


def test_the_same_sources_give_the_same_package(packaged, tally):
    overlay = tally()
    package(overlay)
    assert package(overlay) == packaged, "nor does packaging an overlay change it"


def test_another_process_gives_the_same_hash(tally):
    """Neither the order of sets nor addresses in memory may leak into it."""
    script = (
        "import runpy, sys; from hw.overlay.package import design_digest;"
        "print(design_digest(runpy.run_path(sys.argv[1])['Tally']()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, sys.modules[tally.__module__].__file__],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "12345", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == design_digest(tally())


def test_gateware_and_description_both_count(tally):
    digests = {
        design_digest(overlay)
        for overlay in (tally(), tally(steps=2), tally(name="other"), tally(memory_data_bits=32))
    }
    assert len(digests) == 4
    reworded = tally()
    reworded.description = dataclasses.replace(reworded.description, version=(2, 8))
    assert design_digest(reworded) not in digests


def test_the_hash_stands_in_gateware_and_hwh(packaged):
    assert packaged.design_hash == int(packaged.digest[:8], 16) != 0
    assert (
        f"32'h{packaged.design_hash:08x}" in packaged.verilog
        or f"32'd{packaged.design_hash}" in packaged.verilog
    )
    assert f'"0x{packaged.design_hash:08X}"' in packaged.hwh("zynqmp")


def test_the_verilog_has_the_ports_and_no_paths(packaged):
    top = packaged.verilog.split("module tally(")[1]
    for port in ("s_axi_control_awaddr", "m_axi_memory_rdata", "interrupt", "clk", "rst", "hold", "light"):
        assert f" {port};" in top
    assert "src =" not in packaged.verilog
    assert packaged.pins == (Pin(name="hold", bits=1, output=False), Pin(name="light", bits=4, output=True))


def test_a_second_memory_port_is_in_the_verilog(packaged, tally):
    second = " m_axi_memory_1_rdata;"
    assert second not in packaged.verilog
    assert second in package(tally(memory_ports=2)).verilog


def test_the_files_are_complete_and_pynq_reads_the_container(packaged, tmp_path):
    bitstream = packaged.write(tmp_path / "new" / "folder", "zynq7000")
    assert sorted(path.name for path in bitstream.parent.iterdir()) == ["tally.bit", "tally.hwh", "tally.v"]
    header = parse_bit_header(bitstream.read_bytes())
    assert header["design"] == "tally"
    assert header["part"] == "simulation-only"
    assert b"simulation only" in header["data"]
    assert packaged.digest.encode() in header["data"]
    assert len(bit2bin(bitstream.read_bytes())) == len(header["data"])
    assert bitstream.with_suffix(".v").read_text() == packaged.verilog
    assert bitstream.with_suffix(".hwh").read_text() == packaged.hwh("zynq7000")


def test_an_interrupted_write_leaves_what_was_there(packaged, tmp_path, monkeypatch):
    packaged.write(tmp_path, "zynqmp")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hw.overlay.package.Path.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(packaged, verilog="other").write(tmp_path, "zynqmp")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unknown_flavour_is_refused(packaged):
    with pytest.raises(ValueError, match="'versal' is not a valid Flavour"):
        packaged.hwh("versal")
