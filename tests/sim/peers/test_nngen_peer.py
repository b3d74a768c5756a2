"""What stands between NNgen's Verilog and the simulated board; none of it needs NNgen."""

import json
from pathlib import Path

import numpy as np
import pytest

from sim.board import MemoryModel
from sim.board.ports import TopPorts
from sim.peers.layer import EXPONENTS, SHIFT, PeerLayer
from sim.peers.nngen_peer import INTERRUPT_ENABLE, MODULE, START, Nngen, NngenError, on_board

LAYER = PeerLayer(channels=8, size=4)


def peer(folder: Path, bus_bits: int = 64) -> Nngen:
    return Nngen(layer=LAYER, inputs=2, outputs=4, bus_bits=bus_bits, folder=folder)


def test_weights_are_powers_of_two():
    assert set(np.unique(LAYER.weights)) == {-4, -2, 1, 2, 4}
    assert set(np.unique(LAYER.exponents)) == set(EXPONENTS)
    index = np.unravel_index(np.argmin(LAYER.exponents), LAYER.exponents.shape)
    assert (LAYER.exponents[index], LAYER.weights[index]) == (-2, -4)


def test_both_roundings_agree_within_one_where_nothing_is_clipped():
    rounded, truncated = LAYER.expected(), LAYER.truncated()
    free = (rounded > 0) & (rounded < 127)
    assert free.sum() > 20
    assert set(np.unique((rounded - truncated)[free])) == {0, 1}


def test_a_pixel_by_hand():
    """The middle of the map, all nine taps."""
    total = int(LAYER.bias[3])
    for channel in range(8):
        for y in range(3):
            for x in range(3):
                total += int(LAYER.sample[channel, y, x]) * int(LAYER.weights[3, channel, y, x])
    wrapped = (max(total >> SHIFT, 0) + 128) % 256 - 128
    assert LAYER.truncated()[3, 1, 1] == wrapped


def test_lanes_count_the_window(tmp_path):
    assert peer(tmp_path).lanes == 72


@pytest.mark.parametrize("bus_bits", [32, 64, 128])
def test_the_board_finds_its_ports(bus_bits):
    ports = TopPorts.of_verilog(on_board(bus_bits), overlay=MODULE)
    assert ports.masters == ("memory",)
    assert ports.master_bits("memory") == bus_bits
    assert {port.name: port.bits for port in ports.ports}["m_axi_memory_wstrb"] == bus_bits // 8
    assert ports.pins == ()


#: Stands for NNgen's module: waits for START, then reads a word, writes it one further, and interrupts.
FAKE = f"""
module {MODULE}(
  input CLK, input RESETN, output reg irq,
  output [31:0] maxi_awaddr, output [7:0] maxi_awlen, output [2:0] maxi_awsize, output [1:0] maxi_awburst,
  output maxi_awvalid, input maxi_awready, output [63:0] maxi_wdata, output [7:0] maxi_wstrb,
  output maxi_wlast, output maxi_wvalid, input maxi_wready, input [1:0] maxi_bresp, input maxi_bvalid,
  output maxi_bready, output [31:0] maxi_araddr, output [7:0] maxi_arlen, output [2:0] maxi_arsize,
  output [1:0] maxi_arburst, output maxi_arvalid, input maxi_arready, input [63:0] maxi_rdata,
  input [1:0] maxi_rresp, input maxi_rlast, input maxi_rvalid, output maxi_rready,
  input [31:0] saxi_awaddr, input [3:0] saxi_awcache, input [2:0] saxi_awprot, input saxi_awvalid,
  output saxi_awready, input [31:0] saxi_wdata, input [3:0] saxi_wstrb, input saxi_wvalid,
  output saxi_wready, output [1:0] saxi_bresp, output reg saxi_bvalid, input saxi_bready,
  input [31:0] saxi_araddr, input [3:0] saxi_arcache, input [2:0] saxi_arprot, input saxi_arvalid,
  output saxi_arready, output [31:0] saxi_rdata, output [1:0] saxi_rresp, output reg saxi_rvalid,
  input saxi_rready
);
  reg [2:0] step; reg enabled; reg [63:0] word;
  wire both = saxi_awvalid && saxi_wvalid && !saxi_bvalid;
  assign saxi_awready = both, saxi_wready = both, saxi_bresp = 0;
  assign saxi_arready = !saxi_rvalid, saxi_rdata = 0, saxi_rresp = 0;
  assign maxi_arvalid = step == 1, maxi_araddr = 256, maxi_arlen = 0, maxi_arsize = 3, maxi_arburst = 1;
  assign maxi_rready = 1, maxi_bready = 1;
  assign maxi_awvalid = step == 3, maxi_awaddr = 0, maxi_awlen = 0, maxi_awsize = 3, maxi_awburst = 1;
  assign maxi_wvalid = step == 4, maxi_wdata = word, maxi_wstrb = 255, maxi_wlast = 1;
  always @(posedge CLK)
    if (!RESETN) begin
      step <= 0; enabled <= 0; irq <= 0; saxi_bvalid <= 0; saxi_rvalid <= 0; word <= 0;
    end else begin
      saxi_bvalid <= both || (saxi_bvalid && !saxi_bready);
      saxi_rvalid <= (saxi_arvalid && saxi_arready) || (saxi_rvalid && !saxi_rready);
      if (both && saxi_awaddr == {INTERRUPT_ENABLE}) enabled <= saxi_wdata[0];
      if (both && saxi_awaddr == {START}) step <= 1;
      if (step == 1 && maxi_arready) step <= 2;
      if (step == 2 && maxi_rvalid) begin word <= maxi_rdata; step <= 3; end
      if (step == 3 && maxi_awready) step <= 4;
      if (step == 4 && maxi_wready) step <= 5;
      if (step == 5 && maxi_bvalid) begin step <= 6; irq <= enabled; end
    end
endmodule
"""


def fill(folder: Path, verilog: str) -> Nngen:
    """A folder as the generator leaves it."""
    (folder / "peer.v").write_text(verilog)
    (folder / "addresses.json").write_text(json.dumps({"image": 256, "result": 0, "parameters": 512}))
    np.save(folder / "parameters.npy", np.arange(64, dtype=np.uint8))
    return peer(folder)


def test_a_run_counts_cycles_and_reads_the_result(tmp_path):
    made = fill(tmp_path, FAKE)
    quick, result = made.run(MemoryModel())
    slow, _ = made.run(MemoryModel(latency=40))
    # The accelerator copies the first word of the map: eight channels of the first pixel.
    assert np.array_equal(result[:, 0, 0], LAYER.sample[:, 0, 0])
    assert not result[:, 1:].any()
    assert slow - quick == 80  # a read and a write


def test_an_accelerator_that_never_ends_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("sim.peers.nngen_peer.BUDGET_CYCLES", 1000)
    made = fill(tmp_path, FAKE.replace("step <= 6; irq <= enabled", "step <= 6"))
    with pytest.raises(NngenError, match="did not end within 1,000 cycles"):
        made.run(MemoryModel())
