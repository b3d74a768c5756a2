"""Cycles counted by hand from the docstrings and states of the gateware; `test_tile` compares with the RTL.

All on preset `sim`, whose instructions take four beats and which has two pixel lanes, at a latency of 40.
START is in cycle 0. The first instruction is requested in 1, planned in 5, asked for in 7; its beats are on
the bus from 48 and at the fetch from 55 on, it is queued in 59 and seen in 62, each further one 4 later.
"""

import pytest

from hw.bus.transfer import plan_bursts
from hw.tile.instruction import FIELDS, Instruction, Opcode
from hw.tile.preset import preset
from hw.tile.timing import layer_cycles
from hw.tile.timing.bus import ReadPort, Taken, Writer, burst_beats
from hw.tile.timing.clock import Clock, Stream

SIM = preset("sim")
TWO_PORTS = SIM.replace(ports=2)


def made(opcode, **values):
    return Instruction(opcode, dict.fromkeys((name for name, _, _ in FIELDS[opcode]), 0) | values)


def cycles(*code, engine=SIM, **options):
    return layer_cycles([*code, made(Opcode.END)], engine, **options)


LAYER = made(Opcode.LAYER)
#: One sum of one beat.
ONE = made(Opcode.COMPUTE)


@pytest.mark.parametrize(
    ("name", "latency", "expected"), [("sim", 40, 61), ("sim", 7, 28), ("z7020", 40, 59)]
)
def test_an_instruction_comes_after_the_latency_and_its_beats(name, latency, expected):
    assert cycles(LAYER, engine=preset(name), latency=latency) == [expected]


def test_instructions_of_two_layers_come_four_beats_apart():
    assert cycles(LAYER, LAYER, LAYER) == [61, 4, 4]


def test_readers_with_a_port_each_ask_a_cycle_earlier():
    assert cycles(LAYER, engine=TWO_PORTS) == [60]
    # Taken in 62, requested in 64, planned in 68, asked for in 69, on the bus from 110, written 117 to 132.
    load = made(Opcode.LOAD_WEIGHTS, beats=16)
    assert cycles(load, made(Opcode.COMPUTE, wait_load=1), LAYER, engine=TWO_PORTS) == [132 + 3]


def test_loads_hold_up_instructions_on_a_shared_port_alone():
    code = (made(Opcode.LOAD_WEIGHTS, beats=400), *[LAYER] * 20)
    # LAYER is the second instruction: 4 cycles behind the first, which at this latency comes 33 earlier.
    assert cycles(*code, engine=TWO_PORTS, latency=7) == [60 - 33 + 4] + [4] * 19
    assert max(cycles(*code, latency=7)) > 4


@pytest.mark.parametrize(
    ("fields", "beats"),
    [
        # Taken in 63, and from 64 on a beat a cycle until the layer ends: 4 columns of 3 beats.
        ({"last_column": 3, "last_tap_x": 2}, 12),
        # Sums of one beat come every two cycles, for two pixel lanes leave one by one.
        ({"last_column": 3}, 1 + 3 * 2),
        ({"last_column": 3, "last_row": 1}, 1 + 7 * 2),
        # A window of nine words, and then for each column three new ones or two beats, the last one's two.
        (
            {"windowed": 1, "last_tap_x": 2, "last_tap_y": 2, "column_step": 1, "last_column": 3}
            | {"last_block": 1},
            9 + 3 * 3 + 2,
        ),
        # Two rows: nine words for the first window of the second, too, two of them during the sum before.
        (
            {"windowed": 1, "last_tap_x": 2, "last_tap_y": 2, "column_step": 1, "last_column": 3}
            | {"last_block": 1, "last_row": 1},
            9 + 3 * 3 + 9 + 3 * 3 + 2,
        ),
    ],
)
def test_beats_of_a_compute(fields, beats):
    assert cycles(made(Opcode.COMPUTE, **fields), LAYER) == [63 + beats]


def test_biases_wait_until_the_first_results_of_the_compute_before_are_drained():
    # Its only beat is in 64; nine cycles later the next is taken, its beat follows, and the layer ends.
    assert cycles(ONE, ONE, LAYER) == [64 + 1 + 9 + 1]


def test_weights_are_written_a_beat_a_cycle():
    # Taken in 63, requested in 65, planned in 69, asked for in 71, on the bus from 112, written 119 to 134.
    load = made(Opcode.LOAD_WEIGHTS, beats=16)
    assert cycles(load, made(Opcode.COMPUTE, wait_load=1), LAYER) == [134 + 3]


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"words": 6, "columns": 6}, 119 + 6),
        # Pixels that share words come one a cycle all the same.
        ({"words": 6, "columns": 6, "right": 3, "fold": 1}, 119 + 6 + 2),
        ({"words": 3, "columns": 6, "twice": 1}, 119 + 6),
        ({"words": 3, "columns": 5, "twice": 1, "skip": 1}, 119 + 5),
        ({"words": 6, "columns": 6, "left": 2, "right": 3}, 119 + 6 + 2),
        # The second plane is there, but a cycle for fill behind the first and one before it pass.
        ({"words": 6, "columns": 6, "last_plane": 1, "stride": 128}, 119 + 6 + 2 + 6),
        # None at all: taken in 66, begun in 67, two columns of fill until 69, and the cycle for those behind.
        ({"left": 2}, 70),
    ],
)
def test_columns_of_a_row(fields, written):
    """`written`: the cycle in which the last column of fill on the right is, or would be."""
    load = made(Opcode.LOAD_FEATURES, **fields)
    assert cycles(load, made(Opcode.COMPUTE, wait_load=1), LAYER) == [written + 3]


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        # Requested in 65, there from 68 on; begun in 67, a cycle for fill, written from 69 on.
        ({"words": 6, "columns": 6}, 69 + 6),
        ({"words": 3, "columns": 5, "twice": 1, "skip": 1}, 69 + 5),
        ({"words": 6, "columns": 6, "left": 2, "right": 3}, 69 + 1 + 6 + 2),
        ({"words": 6, "columns": 6, "last_plane": 1}, 69 + 6 + 2 + 6),
    ],
)
def test_columns_of_a_kept_row(fields, written):
    """`written`: as of a row from memory."""
    load = made(Opcode.LOAD_FEATURES, kept=1, **fields)
    assert cycles(load, made(Opcode.COMPUTE, wait_load=1), LAYER) == [written + 3]


@pytest.mark.parametrize(
    ("fields", "requested"),
    [
        # Six words, written 69 to 74: the last is read when the fourth is written, in 72.
        ({"words": 6, "columns": 6, "last_plane": 1}, 73),
        # Three words, the first for 69, two columns each for the others: the last is read in 69.
        ({"words": 3, "columns": 5, "twice": 1, "skip": 1, "last_plane": 1}, 70),
        # Read in 66 and 67, before any is written.
        ({"words": 2, "columns": 2, "left": 9, "last_plane": 1}, 68),
        # Read in 66, while its row is begun; the next one's only when the first is written, in 88, the third
        # one's when the second is, 22 cycles later, and so is the third read when the last is asked for.
        ({"words": 1, "columns": 1, "left": 20, "last_plane": 3}, 88 + 22 + 1),
    ],
)
def test_a_load_is_asked_for_when_those_before_it_are(fields, requested):
    """`requested`: the cycle in which the kept run of the last plane is; another load's is in 65."""
    kept, load = made(Opcode.LOAD_FEATURES, kept=1, **fields), made(Opcode.LOAD_WEIGHTS, beats=100)
    # Taken in the next cycle, requested two later.
    written = 119 + 99 + (requested + 3 - 65)
    assert cycles(kept, load, made(Opcode.COMPUTE, wait_load=2), LAYER) == [written + 3]


def test_a_load_waits_until_the_row_is_kept():
    # The row is read in 81, written in 85, counted in 86; the load is taken in 87, as another in 63.
    load = made(Opcode.LOAD_FEATURES, wait_store=1, words=1, columns=1, kept=1)
    code = (ONE, made(Opcode.STORE, words=1, kept=1), load, made(Opcode.COMPUTE, wait_load=1), LAYER)
    assert cycles(*code) == [69 + 1 + 3 + (87 - 63)]


def test_a_row_waits_for_the_residual_row_that_is_added():
    residual = made(Opcode.LOAD_FEATURES, words=1, columns=1, residual=1)
    rows, store = made(Opcode.COMPUTE, last_row=4), made(Opcode.STORE, words=1, last_row=4, adds=1)
    # Written in 119, complete in 120; the first row is read in 121, so the beat of the fifth is in 122.
    assert cycles(residual, rows, store, LAYER) == [122]


def test_a_fifth_residual_row_waits_for_a_slot():
    residual = made(Opcode.LOAD_FEATURES, words=1, columns=1, residual=1)
    slow = made(Opcode.COMPUTE, last_tap_x=49, last_column=3)  # 200 beats
    store, last = made(Opcode.STORE, words=1, adds=1), made(Opcode.COMPUTE, wait_load=5)
    # Beats from 84 to 283; the row is read 17 cycles later, in 300. In 301 there is a slot, and after a cycle
    # for fill the fifth residual row is written in 303, complete in 304.
    assert cycles(*[residual] * 5, slow, store, last, LAYER) == [304 + 3]


def test_a_load_waits_until_the_row_is_in_memory():
    # The beat is in 64, the row in its slot in 81, its word at the write engine in 89, its address given in
    # 93; it is written in 94, answered in 135, counted in 137. The load is taken in 138, as another in 63.
    load = made(Opcode.LOAD_FEATURES, wait_store=1, words=1, columns=1)
    code = (ONE, made(Opcode.STORE, words=1), load, made(Opcode.COMPUTE, wait_load=1), LAYER)
    assert cycles(*code) == [119 + 1 + 3 + (138 - 63)]


def test_a_fifth_row_waits_for_a_slot():
    rows = made(Opcode.COMPUTE, last_row=4)
    # The first row is read in 81; so the beat of the fifth, else in 72, is in 82.
    assert cycles(rows, made(Opcode.STORE, words=1, last_row=4), LAYER) == [82]


def test_a_row_waits_while_the_write_engine_waits_for_a_response():
    # Rows of 16 words, a burst each, of which one may await its response, for 400 cycles; START is taken to
    # be in cycle 360. The first row is in its slot in 95, its last word at the write engine in 118; its
    # address is given in 122, its words are written from 123 to 138 and answered in 539. The next burst's go
    # from 542 on. Until then 16 + 65 + 17 words are read, and two of the seventh row. In 543 the write
    # engine takes another, in 549 fewer than eleven are in the queue, and the 14 words left of that row are
    # read until 562. So the first beat of the eleventh row is in 563, and its last one in 577.
    rows = made(Opcode.COMPUTE, last_column=7, last_row=10)
    store = made(Opcode.STORE, words=16, stride=128, last_row=10)
    assert cycles(rows, store, LAYER, latency=400, outstanding=1) == [360 + 577]


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        # The load is queued in 71, three instructions after one whose first beat is written in 119.
        (128, 119 + (71 - 59) + 399 + 3),
        # The second compute is taken in 264; only then the third has room, and the load comes in 269. LAYER
        # is queued when the last compute was taken, two cycles after the last beat, and seen three later.
        (1, 119 + (269 - 59) + 399 + 2 + 1 + 3 - 1),
    ],
)
def test_a_full_queue_holds_up_all_instructions(depth, expected):
    slow = made(Opcode.COMPUTE, last_tap_x=49, last_column=3)  # 200 beats
    load, last = made(Opcode.LOAD_WEIGHTS, beats=400), made(Opcode.COMPUTE, wait_load=1)
    code = (slow, slow, ONE, load, last, LAYER)
    assert cycles(*code, engine=SIM.replace(queue=depth)) == [expected]


def test_a_wait_that_nothing_ends_is_refused():
    with pytest.raises(ValueError, match="layer 1 of 2 never ends: an instruction waits for one behind it"):
        cycles(LAYER, made(Opcode.COMPUTE, wait_load=1), LAYER)


@pytest.mark.parametrize("word", [0, 5, 15, 16])
@pytest.mark.parametrize("words", [1, 11, 16, 40])
def test_bursts_are_those_of_the_planner(word, words):
    plan = plan_bursts(8 * word, 8 * words, data_bits=64)
    assert list(burst_beats(word, words)) == [burst.beats for burst in plan]


def test_bursts_share_the_port():
    port = ReadPort(40, shared=True)
    assert [port.read(*burst) for burst in [(10, 16), (10, 8), (100, 8)]] == [51, 67, 141]


def test_only_a_share_has_to_show_whose_a_burst_is():
    assert [ReadPort(0, shared=shared).read(10, 1) for shared in (True, False)] == [13, 11]


def test_the_last_word_of_a_doubled_row_of_odd_columns_is_taken_a_cycle_after_the_one_before():
    taken = Taken(3)
    taken.add(20, 4, step=2, alone=1)
    assert taken.oldest() == 17  # then 19 and 20


def test_the_write_engine_takes_no_more_words_than_four_bursts_and_one():
    writer = Writer(latency=150, outstanding=1)
    for last in (15, 31, 47, 63):
        writer.write(last, 16)
    # The first address is given in 18, its words leave from 20 on.
    assert [writer.room(beat) for beat in (1, 2, 15)] == [21, 22, 35]


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ({"a": (3, 3, 9), "b": (3, 3, 4), "c": (9,)}, "ababbca"),
        # In 6, where b wants its second, a still waits for its third, for b was served in 4.
        ({"a": (3, 4, 5, 6), "b": (3, 6)}, "ababaa"),
    ],
)
def test_processes_that_share_take_turns_one_a_cycle(wanted, order):
    served, clock = [], Clock()

    def asks(name, cycles):
        for cycle in cycles:
            yield cycle
            served.append(name)

    clock.run([asks(*each) for each in wanted.items()])
    assert "".join(served) == order


def test_a_process_goes_on_when_it_is_told():
    clock, heard = Clock(), []
    numbers = Stream(clock)

    def listens():
        second = yield from numbers.item(1)
        heard.append(second)

    def tells():
        numbers.put(5)
        yield 10
        numbers.put(6)

    clock.run([listens(), tells()])
    assert heard == [6]
