import pytest

from hw.flow.timing import own_name, read_report


@pytest.mark.parametrize(
    ("made", "own"),
    [
        ("system.reader.left_TRELLIS_FF_Q_3_DI", "system.reader.left"),
        ("system.reader.left_TRELLIS_FF_Q_3_DI_LUT4_Z_A[2]", "system.reader.left"),
        ("overlay.burst_count[12]", "overlay.burst_count"),
        ("overlay.sum_CCU2C_S0_COUT", "overlay.sum"),
        ("overlay.count_FDRE_Q_D", "overlay.count"),
        ("$auto$alumacc.cc:485:replace_alu$4411.slice", ""),
        ("$PACKER_GND_NET", ""),
        ("top.lut_output", "top.lut_output"),
    ],
)
def test_names_that_tools_made_up_become_the_users(made, own):
    assert own_name(made) == own


def _step(kind, delay, start, end, net=""):
    step = {
        "type": kind,
        "delay": delay,
        "from": {"cell": start, "port": "Q"},
        "to": {"cell": end, "port": "D"},
    }
    return step | ({"net": net} if net else {})


REPORT = {
    "fmax": {
        "$glbnet$clock": {"achieved": 95.123, "constraint": 100.0},
        "slow": {"achieved": 60.0, "constraint": 25.0},
    },
    "critical_paths": [
        {"from": "posedge slow", "to": "posedge slow", "path": [_step("clk-to-q", 9.0, "other", "other")]},
        {
            "from": "posedge $glbnet$clock",
            "to": "posedge $glbnet$clock",
            "path": [
                _step("clk-to-q", 0.5, "top.count_TRELLIS_FF_Q", "top.count_TRELLIS_FF_Q"),
                _step("routing", 1.25, "top.count_TRELLIS_FF_Q", "$abc$1", "top.count[3]"),
                _step("logic", 0.25, "$abc$1", "$abc$1"),
                _step("routing", 2.0, "$abc$1", "top.carry_LUT4_Z", "$abc$2"),
                _step("setup", 0.0, "top.limit_TRELLIS_FF_Q", "top.limit_TRELLIS_FF_Q"),
            ],
        },
    ],
    "utilization": {"TRELLIS_COMB": {"available": 9, "used": 5}, "MULT18X18D": {"available": 4, "used": 0}},
}


def test_the_clock_with_the_least_slack_counts():
    placed = read_report(REPORT, clock_mhz=100)
    assert (placed.requested_mhz, placed.reached_mhz, placed.met) == (100.0, 95.12, False)
    assert placed.cells == {"TRELLIS_COMB": 5}
    assert (placed.critical_ns, placed.logic_ns) == (4.0, 0.75)
    assert placed.critical_path == ("top.count", "top.carry", "top.limit")
    assert placed.sentence.startswith(
        "requested 100 MHz, reached 95.1 MHz; slowest path 4.00 ns, 0.75 of it logic"
    )


def test_a_design_without_a_clock_is_refused():
    with pytest.raises(ValueError, match="nextpnr reports no clock"):
        read_report({"fmax": {}, "critical_paths": [], "utilization": {}}, clock_mhz=100)
