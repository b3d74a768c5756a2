from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from hw.tile.compile import Compiled, compile_program
from hw.tile.instruction import FIELDS, Opcode, disassemble
from hw.tile.listing import table
from hw.tile.preset import PRESETS, Preset, preset
from models.program import Output, Program, ProgramError, Quantiser, ops


def network(*layers: ops.Op, shape=(8, 6, 6)) -> Program:
    bare = {"name": "net", "input": "image", "input_shape": shape, "quantiser": Quantiser(signed=False)}
    anything = Output(tensor="image", shape=shape)
    last = Program(ops=layers, outputs=(anything,), **bare).tensors[layers[-1].output]
    return Program(ops=layers, outputs=(Output(tensor=last.name, shape=last.shape),), **bare)


def conv(name: str, source: str, shape: tuple[int, ...], value: int = 1, **options) -> ops.Convolution:
    return ops.Convolution(
        name=name,
        inputs=(source,),
        output=name,
        weights=np.full(shape, value),
        bias=np.zeros(shape[0], int),
        **options,
    )


def quant(name: str, source: str, channels: int, *, shift: int = 6) -> ops.Requantise:
    return ops.Requantise(
        name=name, inputs=(source,), output=name, bias=np.zeros(channels, int),
        shift=np.full(channels, shift), minimum=0, maximum=255,
    )  # fmt: skip


def test_a_layer_that_does_not_fit_names_itself_the_limit_and_the_remedy():
    program = network(conv("wide", "image", (8, 512, 3, 3)), quant("q", "wide", 8), shape=(512, 8, 8))
    with pytest.raises(
        ProgramError,
        match=r"'wide' does not fit the engine 'sim': 577 .* the preset 'small' takes it",
    ):
        compile_program(program, "sim")


def test_sums_that_the_accumulators_cannot_hold_are_refused():
    program = network(conv("big", "image", (8, 512, 7, 7), 127), quant("q", "big", 8), shape=(512, 8, 8))
    with pytest.raises(ProgramError, match=r"layer 'big' .* more than the 26 bits .* use fewer bits"):
        compile_program(program, "sim")


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (ops.ArgMax(name="top", inputs=("image",), output="top"),
            "layer 'top' .* no ArgMax; leave it to the host"),
        (
            ops.MultiThreshold(
                name="steps", inputs=("image",), output="steps",
                thresholds=np.arange(8)[:, None], signs=np.ones(8, int)
            ),
            "layer 'steps' .*style='requantise', and if it was, train with power-of-two scales alone",
        ),
        (
            ops.Upsample(name="up", inputs=("image",), output="up", factor=(3, 3)),
            r"layer 'up' .* not \(3, 3\).* put a convolution behind",
        ),
    ],
)  # fmt: skip
def test_what_the_engine_has_not_is_refused_by_name(op, message):
    with pytest.raises(ProgramError, match=message):
        compile_program(network(op), "sim")


def test_sums_that_nothing_requantised_cannot_be_read():
    program = network(conv("raw", "image", (8, 8, 3, 3), 64), conv("next", "raw", (8, 8, 1, 1)))
    with pytest.raises(ProgramError, match=r"layer 'next' .* reads the sums 'raw'"):
        compile_program(program, "sim")


def test_shifts_beyond_the_engine_are_refused():
    program = network(conv("c", "image", (8, 8, 1, 1)), quant("q", "c", 8, shift=30))
    with pytest.raises(ProgramError, match=r"layer 'q' .* shifts by at most 24, not 30"):
        compile_program(program, "sim")


def test_every_wait_names_something_earlier_in_the_stream():
    from sim.campaigns.tile_stack import stack

    compiled = compile_program(stack(size=40), "sim")
    check_rows(compiled)
    counts = check_waits(compiled)
    assert min(counts["loads"], counts["computes"], counts["stored"]) > 100


def test_in_random_networks_too_whether_maps_stay_on_chip_or_are_added():
    from sim.campaigns.tile_programs import random_network

    total = Counter()
    for seed in range(120):
        compiled = compile_program(random_network(np.random.default_rng(seed)), "sim")
        check_rows(compiled)
        total += check_waits(compiled)
    assert min(total.values()) > 100
    assert len(total) == 6


def check_waits(compiled: Compiled) -> Counter:
    """What was counted by the end, if no instruction waits for a later one.

    Nor for itself: a residual row takes a slot until the STORE that adds it has come, which may not be behind
    a row that has to wait for the slot.
    """
    counts = Counter()
    for each in disassemble(compiled.code):
        values = each.values
        assert values.get("wait_load", 0) <= counts["loads"]
        assert values.get("wait_compute", 0) <= counts["computes"]
        if each.opcode is Opcode.LOAD_FEATURES:
            assert values["wait_store"] <= counts["stored_kept" if values["kept"] else "stored"]
            counts["residuals"] += values["residual"]
            assert counts["residuals"] - counts["sums"] <= compiled.preset.row_slots
        elif each.opcode is Opcode.STORE:
            rows = values["last_row"] + 1
            counts["stored_kept" if values["kept"] else "stored"] += rows
            counts["sums"] += rows * values["adds"]
        counts["loads"] += each.opcode in (Opcode.LOAD_FEATURES, Opcode.LOAD_WEIGHTS)
        counts["computes"] += each.opcode is Opcode.COMPUTE
    assert counts["residuals"] == counts["sums"]
    return counts


def check_rows(compiled: Compiled) -> None:
    """No row is read before it is stored, and none stored over one that may still be read."""
    lanes = compiled.preset.channels
    sizes = (compiled.arena_bytes // lanes, compiled.preset.kept_words)
    #: Of each word in memory, and on chip: the row last stored there, and the load that last read it.
    stored_by, read_by = ([np.zeros(size, int) for size in sizes] for _ in range(2))
    loads, wait_load, stored = 0, 0, [0, 0]

    def runs(values: dict[str, int], count: int) -> Iterator[slice]:
        for start in range(count):
            first = (values["addr"] + start * values["stride"]) // lanes
            yield slice(first, first + values["words"])

    for each in disassemble(compiled.code):
        values = each.values
        loads += each.opcode in (Opcode.LOAD_FEATURES, Opcode.LOAD_WEIGHTS)
        if each.opcode is Opcode.LOAD_FEATURES:
            for run in runs(values, values["last_plane"] + 1):
                assert stored_by[values["kept"]][run].max(initial=0) <= values["wait_store"]
                read_by[values["kept"]][run] = loads
        elif each.opcode is Opcode.COMPUTE:
            wait_load = values["wait_load"]
        elif each.opcode is Opcode.STORE:
            for run in runs(values, values["last_row"] + 1):
                assert read_by[values["kept"]][run].max(initial=0) <= wait_load
                stored[values["kept"]] += 1
                stored_by[values["kept"]][run] = stored[values["kept"]]


def test_the_binary_is_the_same_each_time():
    program = network(conv("c", "image", (8, 8, 3, 3)), quant("q", "c", 8))
    assert compile_program(program, "sim").binary == compile_program(program, "sim").binary


def test_presets_are_told_apart():
    assert len({each.target_hash for each in PRESETS.values()}) == len(PRESETS)


def test_a_binary_for_other_instructions_is_told_apart(monkeypatch):
    before = preset("sim").target_hash
    monkeypatch.setitem(FIELDS, Opcode.LAYER, (("index", 9, "number of the layer that is over"),))
    assert preset("sim").target_hash != before


def test_presets_are_checked():
    assert preset("z7020").lanes == 1024
    with pytest.raises(ValueError, match=r"there is no engine preset 'none'"):
        preset("none")
    with pytest.raises(ValueError, match=r"weight_words must be a power of two"):
        Preset(
            name="odd", pixels=1, channels=8, feature_words=64, weight_words=100, row_words=64, kept_words=64
        )
    with pytest.raises(ValueError, match=r"preset 'sim': ports must be 1 or 2, not 3"):
        preset("sim").replace(ports=3)


def test_a_second_port_is_foreseen_and_asks_for_no_other_binary():
    from sim.campaigns.tile_stack import stack

    one = preset("sim")
    two = one.replace(ports=2)
    before, after = (compile_program(stack(size=40), engine) for engine in (one, two))
    assert one.target_hash == two.target_hash
    assert before.code == after.code
    cycles = [(a.cycles, b.cycles) for a, b in zip(before.costs, after.costs, strict=True)]
    assert sum(alone for alone, _ in cycles) > sum(apart for _, apart in cycles)
    assert all(apart <= alone for alone, apart in cycles)


def test_a_depthwise_layer_is_compiled_to_windows_and_its_cost_is_foreseen():
    depthwise = conv("depth", "image", (16, 1, 3, 3), 5, groups=16)  # 5 takes two digits
    compiled = compile_program(network(depthwise, quant("q", "depth", 16), shape=(16, 8, 10)), "sim")
    computes = [each.values for each in disassemble(compiled.code) if each.opcode is Opcode.COMPUTE]
    assert len(computes) == 2 * 6  # groups of 8 channels, rows
    for values in computes:
        assert values["windowed"] == 1
        assert (values["last_digit"], values["last_block"]) == (1, 1)  # nine taps on eight lanes
        assert (values["last_tap_x"], values["last_tap_y"], values["column_step"]) == (2, 2, 1)
    # Each of two pixel lanes has 4 of 8 columns; a sum takes two digits of two beats.
    assert compiled.costs[0].beats == 12 * 4 * 4
    assert compiled.costs[0].windowed
    assert table(compiled)[0][1:3] == ["weights", "windows"]


def test_a_layer_of_three_channels_is_folded_and_its_cost_is_foreseen():
    first = conv("first", "image", (8, 3, 3, 3), 5, padding=(1, 1, 1, 1))  # 5 takes two digits
    compiled = compile_program(network(first, quant("q", "first", 8), shape=(3, 8, 10)), "sim")
    values = {opcode: [] for opcode in Opcode}
    for each in disassemble(compiled.code):
        values[each.opcode].append(each.values)
    assert len(values[Opcode.COMPUTE]) == 8
    for each in values[Opcode.COMPUTE]:
        assert (each["last_digit"], each["last_tap_y"]) == (1, 2)
        # Two words of two pixels are a kernel's row.
        assert (each["last_tap_x"], each["last_block"], each["block_step"]) == (0, 1, 2)
    for each in values[Opcode.LOAD_FEATURES]:
        assert preset("sim").fold_bytes[each["fold"] - 1] == 4
        # Ten pixels, one of padding on either side, and one that nothing sees and that fills the last word.
        # Words begin at each of a lane's five columns and two more.
        assert each["left"] + each["columns"] + each["right"] == 13
        assert (each["lane_step"], each["window"]) == (5, 7)
    cost = compiled.costs[0]
    assert (cost.folded, cost.macs) == (2, 8 * 10 * 8 * 3 * 9)
    assert cost.beats == 8 * 5 * 2 * 3 * 2  # rows, columns of a lane, digits, words of a window
    assert table(compiled)[0][1:3] == ["weights", "2 pixels a word"]
    assert cost.read_bytes == cost.compulsory_bytes - 8 * 10 * 8  # what is not written is read, once


def test_a_depthwise_layer_whose_channels_lie_in_other_lanes_is_not_windowed():
    layers = (
        conv("side", "image", (3, 8, 1, 1)), quant("q", "side", 3),
        ops.Concat(name="both", inputs=("q", "image"), output="both"),
        conv("depth", "both", (11, 1, 3, 3), groups=11), quant("last", "depth", 11),
    )  # fmt: skip
    compiled = compile_program(network(*layers), "sim")
    assert [cost.windowed for cost in compiled.costs] == [False, False]
